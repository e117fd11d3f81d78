package charttest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	psaapi "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func TestEveryPodIsRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	restricted := psaapi.LevelVersion{Level: psaapi.LevelRestricted, Version: psaapi.LatestVersion()}
	for _, name := range files(t) {
		objects := rendered(t, "..", file(t, name))
		pods := objects.Pods()
		require.NotEmpty(t, pods)
		for pod, template := range pods {
			at := name + " " + pod
			for _, result := range evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec) {
				require.True(t, result.Allowed, "%s: %s: %s", at, result.ForbiddenReason, result.ForbiddenDetail)
			}
			require.NotNil(t, template.Spec.AutomountServiceAccountToken, at)
			require.False(t, *template.Spec.AutomountServiceAccountToken, at)
			require.NotEmpty(t, template.Spec.ServiceAccountName, at)
			for _, c := range Containers(template.Spec) {
				require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, "%s %s", at, c.Name)
				require.NotEmpty(t, c.Resources.Requests.Cpu().String(), "%s %s", at, c.Name)
				require.False(t, c.Resources.Limits.Memory().IsZero(), "%s %s has no memory limit", at, c.Name)
				require.True(t, c.Resources.Limits.Cpu().IsZero(), "%s %s: a CPU limit throttles", at, c.Name)
				require.NotContains(t, c.Image, ":latest", at)
				for _, m := range c.VolumeMounts {
					require.True(t, hasVolume(objects, pod, template.Spec, m.Name), "%s %s mounts %s, which isn't there", at, c.Name, m.Name)
				}
			}
		}
	}
}

func hasVolume(objects Objects, pod string, spec corev1.PodSpec, name string) bool {
	for _, v := range spec.Volumes {
		if v.Name == name {
			return true
		}
	}
	if set := Get[*appsv1.StatefulSet](objects, pod); set != nil {
		for _, c := range set.Spec.VolumeClaimTemplates {
			if c.Name == name {
				return true
			}
		}
	}
	return false
}

func names(containers []corev1.Container) []string {
	var out []string
	for _, c := range containers {
		out = append(out, c.Name)
	}
	return out
}

func TestOrderOfStart(t *testing.T) {
	ksqldb := rendered(t, "..", file(t, "ksqldb"))
	embedded := rendered(t, "..", file(t, "default"))
	for _, c := range []struct {
		objects    Objects
		set        string
		init, main []string
	}{
		{ksqldb, "shop-orders", []string{"topics", "configure", "sidecar", "apply"}, []string{"program", "monitor", "proxy"}},
		{ksqldb, "shop-fraud", []string{"topics", "configure", "sidecar", "apply"}, []string{"monitor"}},
		{ksqldb, "shop-details", []string{"topics"}, []string{"program"}},
		{embedded, "shop-orders", []string{"topics", "sidecar", "apply"}, []string{"program", "monitor"}},
		{embedded, "shop-fraud", []string{"topics", "sidecar", "apply"}, []string{"monitor"}},
	} {
		spec := Get[*appsv1.StatefulSet](c.objects, "StatefulSet/"+c.set).Spec.Template.Spec
		require.Equal(t, c.init, names(spec.InitContainers), c.set)
		require.Equal(t, c.main, names(spec.Containers), c.set)
		for _, i := range spec.InitContainers {
			if i.Name != "sidecar" {
				require.Nil(t, i.RestartPolicy, "%s %s", c.set, i.Name)
				continue
			}
			// A native sidecar: apply waits for its startup, the program stops before it.
			require.Equal(t, corev1.ContainerRestartPolicyAlways, *i.RestartPolicy)
			require.NotNil(t, i.StartupProbe)
			require.NotNil(t, i.LivenessProbe)
			require.Nil(t, i.ReadinessProbe, "readiness is the monitor's")
		}
		require.GreaterOrEqual(t, *spec.TerminationGracePeriodSeconds, int64(30))
	}
}

func TestProbesTellTheTruth(t *testing.T) {
	objects := rendered(t, "..", file(t, "ksqldb"))
	c := Containers(Get[*appsv1.StatefulSet](objects, "StatefulSet/shop-orders").Spec.Template.Spec)
	sidecar := c["sidecar"]
	require.Equal(t, "/info", sidecar.StartupProbe.HTTPGet.Path)
	require.GreaterOrEqual(t, sidecar.StartupProbe.PeriodSeconds*sidecar.StartupProbe.FailureThreshold, int32(180))
	// Kafka's absence must not restart pods: a port, and long enough.
	require.NotNil(t, sidecar.LivenessProbe.TCPSocket)
	require.GreaterOrEqual(t, sidecar.LivenessProbe.FailureThreshold, int32(6))
	require.GreaterOrEqual(t, sidecar.LivenessProbe.TimeoutSeconds, int32(15))
	require.Equal(t, "/readyz", c["monitor"].ReadinessProbe.HTTPGet.Path)
	require.Contains(t, c["monitor"].Args, "--view=ORDERS_VIEW")
	require.Contains(t, c["monitor"].Args, "--host=$(POD_NAME).shop-orders-pods.orders.svc:8088")
	for _, probe := range []*corev1.Probe{sidecar.StartupProbe, sidecar.LivenessProbe, c["monitor"].ReadinessProbe, c["program"].ReadinessProbe} {
		if probe.HTTPGet != nil {
			require.NotContains(t, probe.HTTPGet.Path, "/chc", "ksqlDB's own answer before it is ready")
		}
	}
	// The embedded engine listens to its pod alone, so it is asked from inside.
	c = Containers(Get[*appsv1.StatefulSet](rendered(t, "..", ""), "StatefulSet/shop-orders").Spec.Template.Spec)
	require.Contains(t, c["sidecar"].Args, "--listen=127.0.0.1:8088")
	require.Equal(t, []string{"/sidestream", "ready", "--timeout=2s", "http://127.0.0.1:8088/info"}, c["sidecar"].StartupProbe.Exec.Command)
}

func TestReplicasAndDisruption(t *testing.T) {
	for values, want := range map[string]map[string]int32{
		"": {"orders": 1, "fraud": 1, "details": 1},
		"kafka: {mode: existing, bootstrapServers: 'k:9092'}":                                   {"orders": 2, "fraud": 2, "details": 2},
		"kafka: {mode: existing, bootstrapServers: 'k:9092'}\nsidecar: {engine: embedded}":      {"orders": 1, "fraud": 1, "details": 2},
		"kafka: {mode: existing, bootstrapServers: 'k:9092'}\nservices: {fraud: {replicas: 0}}": {"orders": 2, "fraud": 0},
	} {
		objects := rendered(t, "..", values)
		for service, n := range want {
			set := Get[*appsv1.StatefulSet](objects, "StatefulSet/shop-"+service)
			require.Equal(t, n, *set.Spec.Replicas, "%s with %s", service, values)
			budget := Get[*policyv1.PodDisruptionBudget](objects, "PodDisruptionBudget/shop-"+service)
			require.Equal(t, 1, budget.Spec.MaxUnavailable.IntValue())
			require.True(t, selects(t, budget.Spec.Selector, set.Spec.Template.Labels))
		}
	}
	objects := rendered(t, "..", file(t, "ksqldb"))
	set := Get[*appsv1.StatefulSet](objects, "StatefulSet/shop-orders")
	require.Nil(t, set.Spec.Replicas, "the autoscaler's")
	scaler := Get[*autoscalingv2.HorizontalPodAutoscaler](objects, "HorizontalPodAutoscaler/shop-orders")
	require.Equal(t, "program", scaler.Spec.Metrics[0].ContainerResource.Container)
	require.Equal(t, "shop-orders", scaler.Spec.ScaleTargetRef.Name)
	require.Equal(t, set.Spec.ServiceName, Get[*corev1.Service](objects, "Service/shop-orders-pods").Name)
	require.Len(t, set.Spec.Template.Spec.TopologySpreadConstraints, 2)
}

func TestServicesFindTheirPods(t *testing.T) {
	for _, name := range files(t) {
		objects := rendered(t, "..", file(t, name))
		for at, o := range objects {
			service, ok := o.(*corev1.Service)
			if !ok {
				continue
			}
			found := 0
			for pod, template := range objects.Pods() {
				if !selects(t, &metav1.LabelSelector{MatchLabels: service.Spec.Selector}, template.Labels) {
					continue
				}
				found++
				ports := map[string]bool{}
				for _, c := range Containers(template.Spec) {
					for _, p := range c.Ports {
						ports[p.Name] = true
					}
				}
				for _, p := range service.Spec.Ports {
					require.True(t, ports[p.TargetPort.String()], "%s %s: no port %s in %s", name, at, p.TargetPort.String(), pod)
				}
			}
			require.Equal(t, 1, found, "%s %s", name, at)
		}
	}
}

func TestKsqlDBSettings(t *testing.T) {
	objects := rendered(t, "..", file(t, "ksqldb"))
	text := Get[*corev1.ConfigMap](objects, "ConfigMap/shop-orders-ksqldb").Data["ksql-server.properties"]
	got := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		require.True(t, ok, line)
		got[name] = value
	}
	for name, want := range map[string]string{
		"ksql.service.id":                                     "orders_",
		"ksql.advertised.listener":                            "http://${env:POD_NAME}.shop-orders-pods.orders.svc:8088",
		"ksql.streams.num.standby.replicas":                   "1",
		"ksql.streams.session.timeout.ms":                     "10000",
		"ksql.streams.heartbeat.interval.ms":                  "3000",
		"ksql.streams.consumer.internal.leave.group.on.close": "true",
		"ksql.streams.processing.guarantee":                   "exactly_once_v2",
		"ksql.streams.cache.max.bytes.buffering":              "0",
		"ksql.heartbeat.enable":                               "true",
		"ksql.lag.reporting.enable":                           "true",
		"ksql.query.pull.enable.standby.reads":                "true",
		"ksql.query.pull.max.allowed.offset.lag":              "1000",
		"security.protocol":                                   "SASL_SSL",
		"ssl.truststore.location":                             "/kafka/ca/ca.crt",
	} {
		require.Equal(t, want, got[name], name)
	}
	fraud := Get[*corev1.ConfigMap](objects, "ConfigMap/shop-fraud-ksqldb").Data["ksql-server.properties"]
	require.Contains(t, fraud, "ksql.streams.num.stream.threads=4\n")
	require.Contains(t, fraud, "ksql.service.id=fraud_\n")
}

func selects(t *testing.T, s *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	require.NoError(t, err)
	return selector.Matches(labels.Set(of))
}
