package charttest

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var metric = regexp.MustCompile(`\b(sidestream|orders|transact|http)_[a-z_]+\b`)

// Dashboards and alerts ask for metrics that some program has.
func TestMetricsExist(t *testing.T) {
	source := programText(t)
	objects := rendered(t, "..", file(t, "ksqldb"))
	asked := map[string]bool{}
	for name, o := range objects {
		switch o := o.(type) {
		case *corev1.ConfigMap:
			for file, text := range o.Data {
				if !strings.HasPrefix(name, "ConfigMap/shop-dashboard-") {
					continue
				}
				require.True(t, json.Valid([]byte(text)), file)
				for _, m := range metric.FindAllString(text, -1) {
					asked[m] = true
				}
			}
		case *unstructured.Unstructured:
			if o.GetKind() == "PrometheusRule" {
				raw, err := json.Marshal(o.Object["spec"])
				require.NoError(t, err)
				for _, m := range metric.FindAllString(string(raw), -1) {
					asked[m] = true
				}
			}
		}
	}
	require.Contains(t, asked, "sidestream_sidecar_up")
	require.Contains(t, asked, "orders_decision_seconds_bucket")
	for m := range asked {
		base := strings.TrimSuffix(strings.TrimSuffix(m, "_bucket"), "_count")
		base = strings.TrimPrefix(base, "transact_") // it is put before the names
		require.Contains(t, source, `"`+base+`"`, "no program has the metric %s", m)
	}
}

// programText is the Go source of what the chart runs.
func programText(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, root := range []string{"../../../services", "../../../sidecar/monitor"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
				return err
			}
			text, err := os.ReadFile(path)
			b.Write(text)
			return err
		}))
	}
	return b.String()
}
