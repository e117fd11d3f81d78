package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// TestClosedKafka runs the flow on a broker with TLS, SASL and access rules, each
// half of a pod as a principal of its own, and looks for the passwords in all
// that the processes print, answer and show to those who list them.
func TestClosedKafka(t *testing.T) {
	if os.Getenv("TEST_KAFKA") != "" {
		t.Skip("it brings its own broker: that of TEST_KAFKA is open")
	}
	s := &stack{t: t, dir: t.TempDir(), procs: map[string]*process{}, kafka: freeAddr(t)}
	t.Cleanup(s.stop)
	principals := []string{"admin", "orders", "orders-sql", "fraud-sql", "inventory", "inventory-sql", "details", "shop"}
	password := func(who string) string { return "hush-" + who + "-7f3a" }
	env := s.secure(principals, password)

	s.add(&process{name: "broker", args: []string{filepath.Join(bin, "sidestream"), "broker", "--listen", s.kafka, "--log-level", "debug",
		"--data-dir", filepath.Join(s.dir, "broker"), "--users", filepath.Join(s.dir, "users.yaml"), "--acls",
		"--tls-cert", filepath.Join(s.dir, "broker.crt"), "--tls-key", filepath.Join(s.dir, "broker.key")}})
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(filepath.Join(s.dir, "broker.crt"))
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(ca))
	s.client, err = kgo.NewClient(kgo.SeedBrokers(s.kafka), kgo.DialTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}),
		kgo.SASL(scram.Auth{User: "admin", Pass: password("admin")}.AsSha512Mechanism()))
	require.NoError(t, err)
	s.admin = kadm.NewClient(s.client)
	s.eventually(30*time.Second, "the broker answers", func() error { return s.client.Ping(t.Context()) })

	asAdmin := func(args ...string) {
		t.Helper()
		out, err := s.cliWith(env("admin"), args...)
		require.NoError(t, err, out)
		require.NotContains(t, out, "hush-")
	}
	file := filepath.Join(root, "ksql", "topics.yaml")
	asAdmin("topics", "apply", "--file", file, "--bootstrap", s.kafka)
	asAdmin("topics", "acls", "--file", file, "--bootstrap", s.kafka, "--apply")
	asAdmin("topics", "acls", "--file", file, "--bootstrap", s.kafka, "--check")

	// A sidecar's principal can't give itself a right.
	greedy := filepath.Join(s.dir, "greedy.yaml")
	require.NoError(t, os.WriteFile(greedy, []byte("topics:\n  orders: {owner: fraud-sql}\n"), 0o644))
	out, err := s.cliWith(env("fraud-sql"), "topics", "acls", "--file", greedy, "--bootstrap", s.kafka, "--apply")
	require.ErrorContains(t, err, "exit status 1", out)
	require.Contains(t, out, "CLUSTER_AUTHORIZATION_FAILED")
	require.NotContains(t, out, "hush-")
	// Nor does a wrong password get in, or into the message.
	out, err = s.cliWith(append(env("admin"), "KAFKA_SASL_PASSWORD_FILE=", "KAFKA_SASL_PASSWORD=hush-wrong"), "topics", "check", "--file", file, "--bootstrap", s.kafka, "--timeout", "20s")
	require.Error(t, err, out)
	require.NotContains(t, out, "hush-")

	sidecars := map[string]string{}
	for _, name := range []string{"orders", "fraud", "inventory"} {
		addr := freeAddr(t)
		sidecars[name] = "http://" + addr
		s.add(&process{name: name + "-sidecar", url: sidecars[name] + "/healthcheck", env: env(name + "-sql"), args: []string{filepath.Join(bin, "sidestream"), "serve",
			"--service-id", name + "_", "--bootstrap", s.kafka, "--listen", addr, "--log-level", "debug", "--state-dir", filepath.Join(s.dir, name+"-sidecar")}})
	}
	for name, url := range sidecars {
		s.ready(name + "-sidecar")
		out, err := s.cliWith(env(name+"-sql"), "apply", filepath.Join(root, "ksql", name), "--server", url, "--bootstrap", s.kafka, "--timeout", "60s")
		require.NoError(t, err, out)
	}
	for _, name := range []string{"inventory", "details", "orders"} {
		addr := freeAddr(t)
		s.add(&process{name: name, args: []string{filepath.Join(bin, name)}, url: "http://" + addr + "/readyz", env: append(env(name),
			"KAFKA_BOOTSTRAP_SERVERS="+s.kafka, "SIDECAR_URL="+sidecars[name], "HTTP_ADDR="+addr, "INSTANCE_ID="+name, "LOG_LEVEL=debug",
			"STATE_DIR="+filepath.Join(s.dir, name))})
		s.orders = "http://" + addr // the last
	}
	for _, name := range s.order {
		s.ready(name)
	}
	stock := filepath.Join(s.dir, "stock.csv")
	require.NoError(t, os.WriteFile(stock, []byte("product,stock\nJUMPERS,10\n"), 0o644))
	out, err = s.cliWith(env("shop"), "load", "stock", stock, "--bootstrap", s.kafka)
	require.NoError(t, err, out)

	id := s.post(fieldsOf{"customerId": 1, "product": "JUMPERS", "quantity": 1, "price": 24.99}).order(s).ID
	final := s.call("GET", s.orders+"/v1/orders/"+id+"/validated?timeout=30000", nil)
	require.Equal(t, "VALIDATED", final.order(s).State, "%s", final.body)

	for _, name := range s.order {
		p := s.procs[name]
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
		if err == nil { // elsewhere than on Linux, the arguments above say the same
			require.NotContains(t, string(line), "hush-", "%s: what ps shows", name)
		}
		raw, err := os.ReadFile(filepath.Join(s.dir, name+".log"))
		require.NoError(t, err)
		require.NotContains(t, string(raw), "hush-", "%s: its log", name)
		if base := strings.TrimSuffix(strings.TrimSuffix(p.url, "/readyz"), "/healthcheck"); base != "" {
			for _, path := range []string{"/metrics", "/info", "/readyz"} {
				if a, err := call("GET", base+path, nil); err == nil {
					require.NotContains(t, string(a.body), "hush-", "%s%s", base, path)
				}
			}
		}
	}
	for _, url := range sidecars {
		a := s.call("POST", url+"/ksql", map[string]string{"ksql": "LIST PROPERTIES;"})
		require.Equal(t, 200, a.status)
		require.NotContains(t, string(a.body), "hush-")
	}
}

// cliWith runs the command with more environment.
func (s *stack) cliWith(env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(s.t.Context(), filepath.Join(bin, "sidestream"), args...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// secure writes the broker's certificate, its users and a file with each
// principal's password; what it returns is a principal's environment.
func (s *stack) secure(principals []string, password func(string) string) func(who string) []string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(s.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(s.t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(s.t, err)
	write := func(name string, text []byte) {
		require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), text, 0o600))
	}
	write("broker.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write("broker.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	var users strings.Builder
	users.WriteString("users:\n")
	for _, who := range principals {
		write(who+".password", []byte(password(who)+"\n"))
		fmt.Fprintf(&users, "  - {name: %s, passwordFile: %s.password, admin: %t}\n", who, who, who == "admin")
	}
	write("users.yaml", []byte(users.String()))
	return func(who string) []string {
		return []string{"KAFKA_SECURITY_PROTOCOL=SASL_SSL", "KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "KAFKA_SASL_USERNAME=" + who,
			"KAFKA_SASL_PASSWORD_FILE=" + filepath.Join(s.dir, who+".password"), "KAFKA_SSL_CA_LOCATION=" + filepath.Join(s.dir, "broker.crt")}
	}
}
