package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// `sidestream dev` runs on a copy of ksql/, whose fraud rule is edited while
// orders come in.
func TestEditTheFraudRuleWhileItRuns(t *testing.T) {
	if os.Getenv("TEST_KAFKA") != "" {
		t.Skip("sidestream dev brings its own broker")
	}
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "ksql"), os.DirFS(filepath.Join(root, "ksql"))))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "services"), 0o755))
	text, err := os.ReadFile(filepath.Join(root, "services", "services.yaml"))
	require.NoError(t, err)
	// Only what validates an order runs.
	var all struct {
		Broker   string
		Topics   string
		Services map[string]any
	}
	require.NoError(t, yaml.Unmarshal(text, &all))
	maps.DeleteFunc(all.Services, func(name string, _ any) bool {
		return !slices.Contains([]string{"orders", "fraud", "inventory", "details"}, name)
	})
	text, err = yaml.Marshal(all)
	require.NoError(t, err)
	s := &stack{t: t, dir: dir, procs: map[string]*process{}}
	t.Cleanup(s.stop)
	placed := regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllStringFunc(string(text), func(old string) string {
		addr := freeAddr(t)
		if strings.HasSuffix(old, ":8080") {
			s.orders = "http://" + addr
		}
		return addr
	})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "services", "services.yaml"), []byte(placed), 0o644))
	s.add(&process{name: "dev", dir: dir, args: []string{filepath.Join(bin, "sidestream"), "dev", "--bin", bin}, url: s.orders + "/readyz"})
	s.ready("dev")

	// Nobody stocks these, so each order fails; its reasons tell of the fraud check
	// only when that comes first. The verdict's topic isn't needed: the answer is.
	answers := 0
	result := func(price string) string {
		answers++
		o := newOrder(fmt.Sprintf("edit-%d", answers), answers, "JUMPERS", 1, price)
		s.post(o)
		return s.fraudAnswer(placed, o["id"].(string))
	}
	edit := func(name, from, to string) {
		file := filepath.Join(dir, "ksql", name)
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(b), from)
		require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(b), from, to, 1)), 0o644))
	}
	becomes := func(price, want string) {
		s.eventually(30*time.Second, "an order of "+price+" is answered by "+want, func() error {
			if got := result(price); got != want {
				return fmt.Errorf("it is answered by %s", got)
			}
			return nil
		})
	}

	require.Equal(t, "PASS", result("500.00"))
	edit("variables.yaml", "fraud_limit: 2000", "fraud_limit: 400")
	becomes("500.00", "FAIL")

	// A mistake is shown where it is, and the old query goes on.
	edit("fraud/03-limit.sql", "CASE WHEN total", "CSAE WHEN total")
	s.eventually(30*time.Second, "the mistake is shown", func() error {
		if out := s.log("dev"); !strings.Contains(out, "03-limit.sql:") || !strings.Contains(out, "^") {
			return fmt.Errorf("dev has printed:\n%s", out)
		}
		return nil
	})
	assert.Equal(t, "FAIL", result("500.00"))

	edit("fraud/03-limit.sql", "CSAE WHEN total", "CASE WHEN total")
	edit("variables.yaml", "fraud_limit: 400", "fraud_limit: 3000")
	becomes("500.00", "PASS")

	// A window can't be replaced in place; dev makes the query anew.
	edit("fraud/02-window.sql", "SUM(CASE", "SUM(10 * CASE")
	becomes("500.00", "FAIL")
}

// fraudAnswer waits for the fraud check's answer to an order.
func (s *stack) fraudAnswer(services, id string) string {
	s.t.Helper()
	broker := regexp.MustCompile(`(?m)^broker: (\S+)`).FindStringSubmatch(services)[1]
	if s.client == nil {
		s.kafka = broker
		s.connect()
	}
	answer := ""
	s.eventually(30*time.Second, "fraud answers "+id, func() error {
		records, err := s.tryRead("fraud-validations")
		if err != nil {
			return err
		}
		for _, r := range records {
			if string(r.Key) == id {
				answer = r.str("VALIDATIONRESULT")
			}
		}
		if answer == "" {
			return fmt.Errorf("no answer among %d", len(records))
		}
		return nil
	})
	return answer
}
