package charttest

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// into converts a part of an unstructured object.
func into(t *testing.T, u *unstructured.Unstructured, out any) {
	t.Helper()
	raw, err := json.Marshal(u.Object)
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(raw, out))
}

type meta struct {
	Name, Namespace     string
	Labels, Annotations map[string]string
}

// topicsYAML is the file as it stands; the chart's templates and package topics
// read it each in their own way.
type topicsYAML struct {
	Defaults topic
	Topics   map[string]topic
}

type topic struct {
	Owner, Cleanup, Retention string
	Readers                   []string
	Partitions, Replicas      int
	Config                    map[string]string
}

func loadTopics(t *testing.T) topicsYAML {
	t.Helper()
	text, err := os.ReadFile("../ksql/topics.yaml")
	require.NoError(t, err)
	var out topicsYAML
	require.NoError(t, yaml.Unmarshal(text, &out))
	require.NotEmpty(t, out.Topics)
	return out
}

func TestStrimziTopicsEqualTopicsYAML(t *testing.T) {
	want := loadTopics(t)
	objects := rendered(t, "..", file(t, "strimzi"))
	found := map[string]bool{}
	for name, o := range objects {
		u, ok := o.(*unstructured.Unstructured)
		if !ok || u.GetKind() != "KafkaTopic" {
			continue
		}
		var got struct {
			APIVersion, Kind string
			Metadata         meta
			Spec             struct {
				TopicName            string
				Partitions, Replicas int
				Config               map[string]string
			}
		}
		into(t, u, &got)
		found[got.Spec.TopicName] = true
		w, ok := want.Topics[got.Spec.TopicName]
		require.True(t, ok, name)
		require.Equal(t, cmp.Or(w.Partitions, want.Defaults.Partitions, 1), got.Spec.Partitions, name)
		require.Equal(t, w.Replicas, got.Spec.Replicas, name)
		cleanup := cmp.Or(w.Cleanup, want.Defaults.Cleanup, "delete")
		require.Equal(t, cleanup, got.Spec.Config["cleanup.policy"], name)
		kept := cmp.Or(w.Retention, want.Defaults.Retention, "7d")
		ms := map[string]string{"forever": "-1", "7d": "604800000", "1d": "86400000", "1h": "3600000", "30d": "2592000000"}[kept]
		require.NotEmpty(t, ms, "%s: retention %s is new to this test", name, kept)
		if cleanup == "compact" {
			ms = "-1"
		}
		require.Equal(t, ms, got.Spec.Config["retention.ms"], name)
		for k, v := range w.Config {
			require.Equal(t, v, got.Spec.Config[k], name)
		}
		require.Len(t, got.Spec.Config, 2+len(w.Config), name)
		require.Equal(t, "shop", got.Metadata.Labels["strimzi.io/cluster"])
		require.Equal(t, "keep", got.Metadata.Annotations["helm.sh/resource-policy"], "an uninstall must not delete data")
	}
	require.Len(t, found, len(want.Topics))
}

// rule is what `sidestream topics acls --output json` prints.
type rule struct {
	Principal  string   `json:"principal"`
	Resource   string   `json:"resource"`
	Name       string   `json:"name"`
	Prefix     bool     `json:"prefix,omitempty"`
	Operations []string `json:"operations"`
}

func TestStrimziUsersHaveTheRulesOfTopicsYAML(t *testing.T) {
	cmd := exec.Command("go", "run", "./sidecar/cmd/sidestream", "topics", "acls", "--output", "json")
	cmd.Dir = "../../.."
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	require.NoError(t, err)
	var want, got []rule
	require.NoError(t, json.Unmarshal(raw, &want))
	require.NotEmpty(t, want)
	objects := rendered(t, "..", file(t, "strimzi"))
	for _, o := range objects {
		u, ok := o.(*unstructured.Unstructured)
		if !ok || u.GetKind() != "KafkaUser" {
			continue
		}
		var user struct {
			APIVersion, Kind string
			Metadata         meta
			Spec             struct {
				Authentication struct{ Type string }
				Authorization  struct {
					Type string
					ACLs []struct {
						Resource   struct{ Type, Name, PatternType string }
						Operations []string
					} `json:"acls"`
				}
			}
		}
		into(t, u, &user)
		require.Equal(t, "scram-sha-512", user.Spec.Authentication.Type)
		require.Equal(t, "simple", user.Spec.Authorization.Type)
		require.NotEmpty(t, user.Spec.Authorization.ACLs)
		for _, a := range user.Spec.Authorization.ACLs {
			r := rule{Principal: user.Metadata.Name, Resource: a.Resource.Type, Name: a.Resource.Name,
				Prefix: a.Resource.PatternType == "prefix", Operations: a.Operations}
			switch r.Resource {
			case "transactionalId":
				r.Resource = "transactional-id"
			case "cluster":
				r.Name = "kafka-cluster"
			}
			got = append(got, r)
		}
	}
	require.Equal(t, lines(t, want), lines(t, got))
}

// lines are rules as sorted text.
func lines(t *testing.T, rules []rule) []string {
	t.Helper()
	var out []string
	for _, r := range rules {
		slices.Sort(r.Operations)
		raw, err := json.Marshal(r)
		require.NoError(t, err)
		out = append(out, string(raw))
	}
	sort.Strings(out)
	return out
}

func TestEachHalfHasAPrincipalOfItsOwn(t *testing.T) {
	objects := rendered(t, "..", file(t, "ksqldb"))
	spec := Get[*appsv1.StatefulSet](objects, "StatefulSet/shop-orders").Spec.Template.Spec
	secrets := map[string]string{}
	for _, v := range spec.Volumes {
		if v.Secret != nil {
			secrets[v.Name] = v.Secret.SecretName
		}
	}
	require.Equal(t, "kafka-orders", secrets["kafka-orders"])
	require.Equal(t, "kafka-orders-sql", secrets["kafka-orders-sql"])
	require.Equal(t, "kafka-ca", secrets["kafka-ca"])
	for container, principal := range map[string]string{"program": "orders", "topics": "orders", "configure": "orders-sql", "sidecar": "orders-sql", "apply": "orders-sql"} {
		c := Containers(spec)[container]
		for _, m := range c.VolumeMounts {
			if m.MountPath == "/kafka/credentials" {
				require.Equal(t, "kafka-"+principal, m.Name, container)
			}
			require.False(t, strings.HasPrefix(m.Name, "kafka-orders") && m.Name != "kafka-"+principal, "%s sees %s", container, m.Name)
		}
		if container != "sidecar" { // ksqlDB reads its properties
			e := variable(c, "KAFKA_SASL_USERNAME")
			require.Equal(t, "kafka-"+principal, e.ValueFrom.SecretKeyRef.Name, container)
			require.Equal(t, "/kafka/credentials/password", variable(c, "KAFKA_SASL_PASSWORD_FILE").Value)
			require.Equal(t, "SASL_SSL", variable(c, "KAFKA_SECURITY_PROTOCOL").Value)
		}
	}
	// One Secret for the principals without one of their own; the Job has the
	// administrator's.
	fraud := Get[*appsv1.StatefulSet](objects, "StatefulSet/shop-fraud").Spec.Template.Spec
	require.True(t, slices.ContainsFunc(fraud.Volumes, func(v corev1.Volume) bool {
		return v.Name == "kafka-fraud-sql" && v.Secret.SecretName == "kafka-one-for-all"
	}))
	for name, pod := range objects.Pods() {
		if strings.HasPrefix(name, "Job/") {
			require.Equal(t, []string{"apply"}, names(pod.Spec.InitContainers))
			require.Equal(t, []string{"topics", "acls", "--file=/topics/topics.yaml", "--apply"}, pod.Spec.Containers[0].Args)
			require.Equal(t, "kafka-admin", variable(pod.Spec.Containers[0], "KAFKA_SASL_USERNAME").ValueFrom.SecretKeyRef.Name)
		}
	}
	// Strimzi's Secrets have the users' names.
	spec = Get[*appsv1.StatefulSet](rendered(t, "..", file(t, "strimzi")), "StatefulSet/shop-orders").Spec.Template.Spec
	require.Equal(t, "orders", variable(Containers(spec)["program"], "KAFKA_SASL_USERNAME").Value)
	require.Equal(t, "shop-kafka-bootstrap.orders.svc:9093", variable(Containers(spec)["program"], "KAFKA_BOOTSTRAP_SERVERS").Value)
	require.True(t, slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool {
		return v.Name == "kafka-ca" && v.Secret.SecretName == "shop-cluster-ca-cert"
	}))
}

func variable(c corev1.Container, name string) corev1.EnvVar {
	for _, e := range c.Env {
		if e.Name == name {
			return e
		}
	}
	return corev1.EnvVar{}
}

// No secret stands in a manifest: not in arguments (anybody who lists processes
// sees them), not as a variable's text, not in a ConfigMap.
func TestSecretsStandNowhere(t *testing.T) {
	secret := []string{"password", "secret", "token", "passwd"}
	for _, name := range []string{"ksqldb", "strimzi"} {
		objects := rendered(t, "..", file(t, name))
		for pod, template := range objects.Pods() {
			for _, c := range Containers(template.Spec) {
				for _, e := range c.Env {
					if slices.ContainsFunc(secret, func(s string) bool { return strings.Contains(strings.ToLower(e.Name), s) }) && !strings.HasSuffix(e.Name, "_FILE") {
						require.Empty(t, e.Value, "%s %s %s", pod, c.Name, e.Name)
					}
				}
				for _, arg := range append(c.Command, c.Args...) {
					for _, s := range secret {
						require.NotContains(t, strings.ToLower(arg), s, "%s %s", pod, c.Name)
					}
				}
			}
		}
		for at, o := range objects {
			m, ok := o.(*corev1.ConfigMap)
			if !ok || !strings.HasSuffix(at, "-ksqldb") {
				continue
			}
			for line := range strings.Lines(m.Data["ksql-server.properties"]) {
				if _, after, ok := strings.Cut(line, "password="); ok {
					require.True(t, strings.HasPrefix(after, "${quoted:file:/kafka/credentials/password}"), "%s: %s", at, line)
				}
			}
			_, is := o.(*corev1.Secret)
			require.False(t, is, "the chart makes no Secret")
		}
	}
}
