package charttest

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// may tells whether the policies let a pod of the release reach another's port.
func may(t *testing.T, o Objects, from, to corev1.PodTemplateSpec, port string) bool {
	t.Helper()
	out, in := false, false
	for _, object := range o {
		p, ok := object.(*networkingv1.NetworkPolicy)
		if !ok {
			continue
		}
		if selects(t, &p.Spec.PodSelector, from.Labels) {
			for _, rule := range p.Spec.Egress {
				out = out || hasPort(rule.Ports, to, port) && hasPeer(t, rule.To, to)
			}
		}
		if selects(t, &p.Spec.PodSelector, to.Labels) {
			for _, rule := range p.Spec.Ingress {
				in = in || hasPort(rule.Ports, to, port) && hasPeer(t, rule.From, from)
			}
		}
	}
	return out && in
}

func hasPeer(t *testing.T, peers []networkingv1.NetworkPolicyPeer, pod corev1.PodTemplateSpec) bool {
	t.Helper()
	if peers == nil {
		return true
	}
	for _, p := range peers {
		if p.PodSelector != nil && p.NamespaceSelector == nil && selects(t, p.PodSelector, pod.Labels) {
			return true
		}
	}
	return false
}

// hasPort looks a pod's port up by its name.
func hasPort(ports []networkingv1.NetworkPolicyPort, pod corev1.PodTemplateSpec, name string) bool {
	if ports == nil {
		return true
	}
	for _, p := range ports {
		if p.Port.String() == name {
			return true
		}
		for _, c := range Containers(pod.Spec) {
			for _, have := range c.Ports {
				if have.Name == name && p.Port.IntVal == have.ContainerPort {
					return true
				}
			}
		}
	}
	return false
}

func TestWhoReachesWhom(t *testing.T) {
	ksqldb, evaluation := rendered(t, "..", file(t, "ksqldb")), rendered(t, "..", "")
	for _, c := range []struct {
		o        Objects
		from, to string
		port     string
		want     bool
	}{
		{ksqldb, "StatefulSet/shop-orders", "StatefulSet/shop-orders", "ksqldb", true}, // peers
		{ksqldb, "StatefulSet/shop-fraud", "StatefulSet/shop-orders", "ksqldb", false},
		{ksqldb, "Pod/shop-test-ready", "StatefulSet/shop-orders", "ksqldb", false},
		{ksqldb, "Pod/shop-test-ready", "StatefulSet/shop-orders", "http", true},
		{ksqldb, "Pod/shop-test-ready", "StatefulSet/shop-orders", "monitor", true},
		{ksqldb, "StatefulSet/shop-fraud", "StatefulSet/shop-orders", "http", false},
		{evaluation, "StatefulSet/shop-orders", "StatefulSet/shop-kafka", "kafka", true},
		{evaluation, "StatefulSet/shop-details", "StatefulSet/shop-kafka", "kafka", true},
		{evaluation, "StatefulSet/shop-kafka", "StatefulSet/shop-orders", "http", false},
		{evaluation, "Pod/shop-test-ready", "StatefulSet/shop-orders", "http", true},
		{evaluation, "Pod/shop-test-ready", "StatefulSet/shop-fraud", "monitor", true},
	} {
		pods := c.o.Pods()
		require.Contains(t, pods, c.from)
		require.Contains(t, pods, c.to)
		require.Equal(t, c.want, may(t, c.o, pods[c.from], pods[c.to], c.port), "%s → %s %s", c.from, c.to, c.port)
	}
}

func TestDenyCoversEveryPod(t *testing.T) {
	for _, name := range files(t) {
		objects := rendered(t, "..", file(t, name))
		deny := Get[*networkingv1.NetworkPolicy](objects, "NetworkPolicy/shop-deny")
		if name == "embedded" {
			require.Nil(t, deny, "networkPolicy.enabled is false")
			continue
		}
		require.Empty(t, deny.Spec.Ingress)
		require.Empty(t, deny.Spec.Egress)
		require.ElementsMatch(t, []networkingv1.PolicyType{"Ingress", "Egress"}, deny.Spec.PolicyTypes)
		for pod, template := range objects.Pods() {
			require.True(t, selects(t, &deny.Spec.PodSelector, template.Labels), "%s %s", name, pod)
		}
	}
}
