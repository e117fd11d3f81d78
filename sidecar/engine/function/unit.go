package function

import "github.com/sidestream/sidestream/sidecar/engine/types"

// unitMillis are the lengths of the interval units, by their index.
var unitMillis = [...]int64{1, 1000, 60_000, 3_600_000, 86_400_000}

var unitNames = [...]string{"MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS"}

// UnitValue is the argument that stands for a unit of time, by its plural name
// ("DAYS"). Months and years have no fixed length and are no units.
func UnitValue(name string) (types.Value, bool) {
	for i, n := range unitNames {
		if n == name {
			return types.NewUnit(int64(i)), true
		}
	}
	return types.Value{}, false
}

// unitLength is the length of a unit in milliseconds; 0 for none.
func unitLength(v types.Value) int64 {
	if i := v.Int(); i >= 0 && i < int64(len(unitMillis)) {
		return unitMillis[i]
	}
	return 0
}
