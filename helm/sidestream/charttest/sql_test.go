package charttest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// checksums are what rolls the pods, by service.
func checksums(o Objects) map[string]string {
	out := map[string]string{}
	for name, object := range o {
		if set, ok := object.(*appsv1.StatefulSet); ok {
			out[strings.TrimPrefix(name, "StatefulSet/shop-")] = set.Spec.Template.Annotations["checksum/sql"]
		}
	}
	return out
}

func TestAnEditRollsItsServiceAlone(t *testing.T) {
	for what, edit := range map[string]func(t *testing.T, dir string) string{
		"a file of ksql": func(t *testing.T, dir string) string {
			path := filepath.Join(dir, "ksql/fraud/03-limit.sql")
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, append(text, "-- changed\n"...), 0o644))
			return ""
		},
		"a value": func(*testing.T, string) string { return "services: {fraud: {sql: {variables: {fraud_limit: 100}}}}" },
		"a file in values": func(*testing.T, string) string {
			return "services: {fraud: {sql: {files: {09-x.sql: 'CREATE STREAM x AS SELECT * FROM fraud_totals;'}}}}"
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := chartDir(t)
			before := checksums(rendered(t, dir, ""))
			require.Len(t, before["fraud"], 64)
			after := checksums(rendered(t, dir, edit(t, dir)))
			require.NotEqual(t, before["fraud"], after["fraud"])
			delete(before, "fraud")
			delete(after, "fraud")
			require.Equal(t, before, after)
		})
	}
}

// everything switches on what is off by itself.
const everything = "services: {email: {enabled: true}}"

func TestTheRepositorysSQLIsWhatPodsRead(t *testing.T) {
	objects := rendered(t, "..", everything)
	folders, err := filepath.Glob("../../../ksql/*/*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	for _, path := range folders {
		service := filepath.Base(filepath.Dir(path))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		m := Get[*corev1.ConfigMap](objects, "ConfigMap/shop-"+service+"-sql")
		require.NotNil(t, m, "ksql/%s has no service in the chart's values", service)
		require.Equal(t, strings.TrimSpace(string(text)), strings.TrimSpace(m.Data[filepath.Base(path)]), path)
	}
	// A number stays as it is written, however large.
	big := rendered(t, "..", "services: {fraud: {sql: {variables: {fraud_limit: 25000000, text: \"'x'\"}}}}")
	var variables map[string]map[string]string
	require.NoError(t, yaml.Unmarshal([]byte(Get[*corev1.ConfigMap](big, "ConfigMap/shop-fraud-variables").Data["variables.yaml"]), &variables))
	require.Equal(t, map[string]map[string]string{"fraud": {"fraud_limit": "25000000", "text": "'x'"}}, variables)
}

func TestSQLOfValues(t *testing.T) {
	objects := rendered(t, "..", file(t, "own-service"))
	fraud := Get[*corev1.ConfigMap](objects, "ConfigMap/shop-fraud-sql").Data
	require.NotContains(t, fraud, "03-limit.sql")
	require.Contains(t, fraud, "02-window.sql")
	require.Contains(t, fraud["04-other.sql"], "${fraud_limit}")
	require.Contains(t, Get[*corev1.ConfigMap](objects, "ConfigMap/shop-returns-sql").Data, "01-returns.sql")
	returns := Get[*appsv1.StatefulSet](objects, "StatefulSet/shop-returns").Spec.Template.Spec
	require.Contains(t, Containers(returns)["monitor"].Args, "--view=RETURNS_BY_CUSTOMER")
	require.Contains(t, Containers(returns)["apply"].Args, "/sql/returns")
	require.Nil(t, Get[*appsv1.StatefulSet](objects, "StatefulSet/shop-details"))
	require.Nil(t, Get[*corev1.ConfigMap](objects, "ConfigMap/shop-inventory-sql"))
	for _, v := range Get[*appsv1.StatefulSet](objects, "StatefulSet/shop-inventory").Spec.Template.Spec.Volumes {
		if v.Name == "sql" {
			require.Equal(t, "inventory-rules", v.ConfigMap.Name)
		}
	}
}

// Every service that sidestream dev runs is in the chart, with the same halves.
func TestTheChartHasTheServicesOfServicesYAML(t *testing.T) {
	text, err := os.ReadFile("../../../services/services.yaml")
	require.NoError(t, err)
	var manifest struct {
		Services map[string]struct {
			SQL          string
			Program      any
			Reads, Views []string
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &manifest))
	require.NotEmpty(t, manifest.Services)
	objects := rendered(t, "..", everything)
	for name, s := range manifest.Services {
		if s.SQL == "" && s.Reads == nil {
			continue // a tool beside the services, as the inbox of one machine
		}
		set := Get[*appsv1.StatefulSet](objects, "StatefulSet/shop-"+name)
		require.NotNil(t, set, "services.yaml has %s, values.yaml has no services.%s", name, name)
		c := Containers(set.Spec.Template.Spec)
		_, program := c["program"]
		require.Equal(t, s.Program != nil, program, name)
		_, sidecar := c["sidecar"]
		require.Equal(t, s.SQL != "", sidecar, name)
		for _, v := range s.Views {
			require.Contains(t, c["monitor"].Args, "--view="+v)
		}
	}
}
