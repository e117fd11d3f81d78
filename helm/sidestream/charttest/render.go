// Package charttest holds the chart to what it promises, without a cluster.
//
// In: the chart and the values files of ../ci. Out: what Helm 3 and Helm 4 make of
// them, as Kubernetes' own types.
//
//	render.go         the chart rendered by Helm as a library
//	objects.go        the manifests as typed objects, unknown fields refused
//	golden_test.go    each values file's manifests, reviewed as a file
//	pods_test.go      order of start, probes, security of every pod
//	kafka_test.go     topics and access rules equal topics.yaml; secrets stay secret
//	sql_test.go       the SQL, its variables and checksums
//	refused_test.go   values that are refused, and what the user is told
//	network_test.go   who may reach whom
//	watch_test.go     dashboards and alerts ask for metrics that there are
//
// It is a Go module of its own: Helm and Kubernetes bring some hundred modules
// along, which the product neither needs nor should be held to.
package charttest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	v3loader "helm.sh/helm/v3/pkg/chart/loader"
	v3util "helm.sh/helm/v3/pkg/chartutil"
	v3engine "helm.sh/helm/v3/pkg/engine"
	v4common "helm.sh/helm/v4/pkg/chart/common"
	v4util "helm.sh/helm/v4/pkg/chart/common/util"
	v4loader "helm.sh/helm/v4/pkg/chart/v2/loader"
	v4engine "helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

// Release is what the chart is rendered as.
const (
	Release   = "shop"
	Namespace = "orders"
	kube      = "v1.29.0" // the oldest that the chart promises
)

// Values reads values from YAML text.
func Values(text string) (map[string]any, error) {
	out := map[string]any{}
	err := yaml.Unmarshal([]byte(text), &out)
	return out, err
}

// Render3 is the chart in dir rendered by Helm 3: manifests by template.
func Render3(dir string, values map[string]any) (map[string]string, error) {
	chart, err := v3loader.Load(dir)
	if err != nil {
		return nil, err
	}
	caps := v3util.DefaultCapabilities.Copy()
	version, err := v3util.ParseKubeVersion(kube)
	if err != nil {
		return nil, err
	}
	caps.KubeVersion = *version
	all, err := v3util.ToRenderValues(chart, values, v3util.ReleaseOptions{Name: Release, Namespace: Namespace, IsInstall: true, Revision: 1}, caps)
	if err != nil {
		return nil, err
	}
	return v3engine.Engine{Strict: true}.Render(chart, all)
}

// Render4 is Render3 by Helm 4.
func Render4(dir string, values map[string]any) (map[string]string, error) {
	chart, err := v4loader.Load(dir)
	if err != nil {
		return nil, err
	}
	caps := v4common.DefaultCapabilities.Copy()
	version, err := v4common.ParseKubeVersion(kube)
	if err != nil {
		return nil, err
	}
	caps.KubeVersion = *version
	all, err := v4util.ToRenderValues(chart, values, v4common.ReleaseOptions{Name: Release, Namespace: Namespace, IsInstall: true, Revision: 1}, caps)
	if err != nil {
		return nil, err
	}
	return v4engine.Engine{Strict: true}.Render(chart, all)
}

// packaged are the names of the files that a package of the chart holds.
func packaged(dir string) ([]string, error) {
	chart, err := v3loader.Load(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, f := range chart.Raw {
		out = append(out, f.Name)
	}
	return out, nil
}

// Manifests joins the templates' output in the order of their names; what is
// empty is left out.
func Manifests(rendered map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rendered)) {
		text := strings.TrimSpace(rendered[name])
		if !strings.HasSuffix(name, ".yaml") || text == "" {
			continue
		}
		fmt.Fprintf(&b, "---\n# %s\n%s\n", name, strings.TrimPrefix(text, "---\n"))
	}
	return b.String()
}
