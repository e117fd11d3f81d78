package charttest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRefused(t *testing.T) {
	for _, c := range []struct{ values, want string }{
		// The schema.
		{"services: {orders: {replica: 3}}", "'/services/orders': additional properties 'replica' not allowed"},
		{"sidecar: {engine: flink}", "'/sidecar/engine': value must be one of '', 'ksqldb', 'embedded'"},
		{"kafka: {mode: local}", "'/kafka/mode'"},
		{"kafka: {bootstrapServers: kafka}", "'/kafka/bootstrapServers'"},
		{"kafka: {sasl: {password: hush}}", "'/kafka/sasl': additional properties 'password' not allowed"},
		{"kafka: {sasl: {mechanism: GSSAPI}}", "'/kafka/sasl/mechanism'"},
		{"sidecar: {ksqldb: {sessionTimeoutMs: 3000}}", "'/sidecar/ksqldb/sessionTimeoutMs': minimum: got 3,000, want 6,000"},
		{"services: {orders: {persistence: {size: big}}}", "'/services/orders/persistence/size'"},
		{"services: {orders: {program: {port: 99999}}}", "'/services/orders/program/port': maximum"},
		{"services: {orders: {program: {image: {tag: x}}}, orders2: {replicas: -1}}", "'/services/orders2/replicas': minimum"},
		{"image: {digest: abc}", "'/image/digest'"},
		// What only the chart knows.
		{"services: {orders: {replicas: 3}}", `services.orders.replicas is 3, but sidecar.engine is "embedded": the embedded engine runs a service in one process and shares it with no other. Set it to 1, or sidecar.engine to ksqldb.`},
		{"services: {orders: {autoscaling: {enabled: true}}}", `services.orders.autoscaling is on, but sidecar.engine is "embedded"`},
		{"kafka: {mode: existing}", `kafka.bootstrapServers is empty: with kafka.mode "existing" give host:port`},
		{"kafka: {mode: existing, bootstrapServers: 'k:9092', sasl: {mechanism: PLAIN, secrets: {orders: a}}}", `kafka.sasl: no Secret for the principal "`},
		{"services: {returns: {replicas: 1}}", "services.returns has neither a program nor SQL. Give program.image, or SQL in ksql/returns"},
		{"services: {kafka: {}}", "services.kafka: the name is taken"},
		{"services: {Orders: {}}", "services.Orders: a name has small letters"},
		{"services: {fraud: {sql: {files: {limit.sql: x}}}}", `"limit.sql" must begin with a number and a hyphen and end in .sql`},
		{"services: {fraud: {sql: {files: {01-a.sql: x}, existingConfigMap: rules}}}", "existingConfigMap takes the folder's place"},
		{"kafka: {mode: strimzi, topics: {yaml: 'topics: {a: {owner: b, retention: soon}}'}}", `topics.yaml: retention "soon"`},
	} {
		_, err := tryRender("..", c.values)
		require.ErrorContains(t, err, c.want, c.values)
	}
	// Programs alone scale on any engine.
	_, err := tryRender("..", "services: {details: {replicas: 3, autoscaling: {enabled: true}}}")
	require.NoError(t, err)
}
