package function

import (
	"fmt"
	"math"
	"strings"

	"github.com/google/uuid"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// The mean radius of the earth.
const (
	earthKilometres = 6371
	earthMiles      = 3959
)

func otherFunctions() []*Scalar {
	return []*Scalar{
		scalar("AS_VALUE", categoryOther, "Creates a copy of the supplied column, but marks the resulting column as a value column. The function is of use in statements where you want to copy a key column into a value column.",
			over("T keyColumn", "T", func(a []types.Value) (types.Value, error) { return a[0], nil })),
		scalar("geo_distance", categoryOther, "Compute the distance between two points on the surface of the earth, according to the Haversine formula for great circle distance, in kilometres or miles ('MI').",
			nullable("DOUBLE lat1, DOUBLE lon1, DOUBLE lat2, DOUBLE lon2", "DOUBLE", geoDistance),
			nullable("DOUBLE lat1, DOUBLE lon1, DOUBLE lat2, DOUBLE lon2, STRING units", "DOUBLE", geoDistance)),
		scalar("uuid", categoryString, "Create a Universally Unique Identifier (UUID) generated according to RFC 4122.",
			over("", "STRING", func([]types.Value) (types.Value, error) { return text(uuid.NewString()), nil }).docs("Makes a new one."),
			nullable("BYTES bytes", "STRING", func(a []types.Value) (types.Value, error) {
				u, err := uuid.FromBytes(a[0].Bytes())
				if err != nil {
					return none, fmt.Errorf("A UUID has 16 bytes, but there are %d", len(a[0].Bytes()))
				}
				return text(u.String()), nil
			}).docs("Reads 16 bytes.")),
	}
}

func geoDistance(a []types.Value) (types.Value, error) {
	var x [4]float64
	for i := range x {
		x[i] = a[i].Float()
		if bound := [2]float64{90, 180}[i%2]; x[i] < -bound || x[i] > bound {
			return none, fmt.Errorf("valid %s values for GeoDistance function are in the range of %v to %v decimal degrees",
				[2]string{"latitude", "longitude"}[i%2], -bound, bound)
		}
	}
	radius := float64(earthKilometres)
	if len(a) > 4 {
		switch u := strings.ToUpper(a[4].Str()); {
		case strings.HasPrefix(u, "MI"):
			radius = earthMiles
		case strings.HasPrefix(u, "K"):
		default:
			return none, fmt.Errorf("GeoDistance function units parameter must be one of [KM, MI], but was %s", a[4].Str())
		}
	}
	radians := func(degrees float64) float64 { return degrees / 180 * math.Pi }
	deltaLat, deltaLon := radians(x[2]-x[0]), radians(x[3]-x[1])
	h := sine(deltaLat/2)*sine(deltaLat/2) +
		sine(deltaLon/2)*sine(deltaLon/2)*cosine(radians(x[0]))*cosine(radians(x[2]))
	return double(radius * 2 * math.Asin(math.Sqrt(h))), nil
}
