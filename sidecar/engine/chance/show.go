package chance

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Show is a row with the kind of each value and all its NULLs, so that rows with
// the same text are the same.
func Show(row []types.Value) string {
	parts := make([]string, len(row))
	for i, v := range row {
		parts[i] = show(v)
	}
	return strings.Join(parts, " | ")
}

func show(v types.Value) string {
	switch k := v.Kind(); k {
	case types.Null:
		return "NULL"
	case types.String:
		return fmt.Sprintf("%q", v.Str())
	case types.Array, types.Struct:
		return fmt.Sprintf("%s(%s)", k, Show(v.Items()))
	case types.Map:
		var b strings.Builder
		for _, e := range v.Entries() {
			b.WriteString(show(e.Key) + "=" + show(e.Value) + " ")
		}
		return "MAP(" + b.String() + ")"
	case types.Double:
		return "DOUBLE " + types.FormatDouble(v.Float())
	case types.Decimal:
		return "DECIMAL " + types.FormatDecimal(v)
	case types.Bytes:
		return fmt.Sprintf("BYTES %x", v.Bytes())
	default:
		return fmt.Sprintf("%s %d", k, v.Int())
	}
}
