package k8stest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const release = "shop"

// order is an order as the API has it.
type order struct {
	ID         string   `json:"id"`
	CustomerID int      `json:"customerId"`
	State      string   `json:"state"`
	Reasons    []string `json:"reasons"`
	Version    int      `json:"version"`
}

func TestChart(t *testing.T) {
	if os.Getenv("K8S_TEST") == "" {
		t.Skip("needs a cluster: make test-k8s")
	}
	c := &cluster{t: t, namespace: fmt.Sprintf("sidestream-%d", time.Now().UnixNano()%1_000_000)}
	c.run("kubectl", "create", "namespace", c.namespace)
	t.Cleanup(func() {
		if t.Failed() {
			c.tell()
			if os.Getenv("K8S_KEEP") != "" {
				return
			}
		}
		c.run("kubectl", "delete", "namespace", c.namespace, "--ignore-not-found", "--timeout=2m")
	})
	// The whole namespace takes restricted pods alone.
	c.run("kubectl", "label", "namespace", c.namespace, "pod-security.kubernetes.io/enforce=restricted")

	dir := chartCopy(t)
	step := stepper(t)
	install := []string{"install", release, dir, "--wait", "--timeout", "8m"}
	c.run("helm", append(install, strings.Fields(os.Getenv("HELM_ARGS"))...)...)
	step("installed")
	c.run("helm", "test", release, "--timeout", "3m")
	step("helm test")

	orders, shop := c.forward(release+"-orders"), c.forward(release+"-shop")
	put(t, shop, "/v1/stock/JUMPERS", `{"stock": 100000}`)
	put(t, shop, "/v1/products/JUMPERS", `{"listPrice": 20.00}`)
	for i := range 5 {
		o := place(t, orders, fmt.Sprintf("small-%d", i), 100+i, 1, "20.00")
		require.Contains(t, []string{"VALIDATED", "SHIPPED"}, o.State, "%+v", o)
	}
	o := place(t, orders, "big", 1, 150, "20.00")
	require.Equal(t, "FAILED", o.State)
	require.Contains(t, strings.Join(o.Reasons, "; "), "limit: 2000")
	middle := place(t, orders, "middle", 2, 10, "20.00")
	require.Contains(t, []string{"VALIDATED", "SHIPPED"}, middle.State, "%+v", middle)
	step("orders validated, one refused by the limit of 2000")

	before := c.pods()
	edit(t, filepath.Join(dir, "ksql/variables.yaml"), "fraud_limit: 2000", "fraud_limit: 100")
	c.run("helm", "upgrade", release, dir, "--reset-then-reuse-values", "--wait", "--timeout", "5m")
	after := c.pods()
	for name, p := range before {
		if name == release+"-fraud-0" {
			require.NotEqual(t, p.Metadata.UID, after[name].Metadata.UID, "the edit rolls %s", name)
		} else {
			require.Equal(t, p.Metadata.UID, after[name].Metadata.UID, "the edit leaves %s alone", name)
		}
	}
	step("upgraded: the fraud pod alone is new")
	o = place(t, orders, "middle-2", 3, 10, "20.00")
	require.Equal(t, "FAILED", o.State, "%+v", o)
	require.Contains(t, strings.Join(o.Reasons, "; "), "limit: 100")
	require.Contains(t, []string{"VALIDATED", "SHIPPED"}, place(t, orders, "small-after", 4, 1, "20.00").State)
	require.Contains(t, []string{"VALIDATED", "SHIPPED"}, get(t, orders, "middle").State, "decided under the old limit, and once")
	step("new outcome under the limit of 100")

	kill(t, c, orders)
	step("pods killed under load, nothing lost")

	for name, p := range c.pods() {
		for _, s := range p.Status.ContainerStatuses {
			require.Zero(t, s.RestartCount, "%s %s has started again by itself", name, s.Name)
		}
	}
	c.run("helm", "uninstall", release, "--wait", "--timeout", "4m")
	c.await("everything of the release goes", time.Minute, func() bool {
		return strings.TrimSpace(c.run("kubectl", "get", "all,configmaps,pvc,networkpolicies,pdb", "--selector", "app.kubernetes.io/instance="+release, "--output", "name")) == ""
	})
	step("uninstalled")
}

// kill deletes pods while orders are placed, and then looks at each order.
func kill(t *testing.T, c *cluster, orders *forward) {
	t.Helper()
	const workers, each = 4, 30
	var g errgroup.Group
	stop := make(chan struct{})
	placed := make([]int, workers)
	for w := range workers {
		g.Go(func() error {
			pace := time.NewTicker(100 * time.Millisecond)
			defer pace.Stop()
			for i := 0; ; i++ {
				select {
				case <-stop:
					if i >= each {
						placed[w] = i
						return nil
					}
				case <-pace.C:
				}
				id := fmt.Sprintf("load-%d-%d", w, i)
				body := fmt.Sprintf(`{"id":%q,"customerId":%d,"product":"JUMPERS","quantity":1,"price":20.00}`, id, 1000+w*100000+i)
				status, answer, err := orders.do(3*time.Minute, http.MethodPost, "/v1/orders", body)
				if err != nil {
					return err
				}
				if status != http.StatusCreated && status != http.StatusOK {
					return fmt.Errorf("POST %s: %d %s", id, status, answer)
				}
			}
		})
	}
	// With a grace of none, the kernel ends the processes as a dead node would.
	for _, name := range []string{"orders-0", "fraud-0", "inventory-0", "details-0"} {
		gone := c.pods()[release+"-"+name]
		require.NotEmpty(t, gone.Metadata.UID, name)
		c.run("kubectl", "delete", "pod", gone.Metadata.Name, "--grace-period=0", "--force")
		c.await(name+" is back", 4*time.Minute, func() bool {
			p := c.pods()[gone.Metadata.Name]
			return p.Metadata.UID != gone.Metadata.UID && p.ready()
		})
	}
	// The broker stops in order; its clients find it under the same name.
	kafka := c.pods()[release+"-kafka-0"]
	c.run("kubectl", "delete", "pod", kafka.Metadata.Name)
	c.await("the broker is back", 2*time.Minute, func() bool {
		p := c.pods()[kafka.Metadata.Name]
		return p.Metadata.UID != kafka.Metadata.UID && p.ready()
	})
	close(stop)
	require.NoError(t, g.Wait())
	total := 0
	for w, n := range placed {
		for i := range n {
			o := decided(t, orders, fmt.Sprintf("load-%d-%d", w, i))
			require.Contains(t, []string{"VALIDATED", "SHIPPED"}, o.State, "%+v", o)
			versions := map[string]int{"VALIDATED": 2, "SHIPPED": 3}
			require.Equal(t, versions[o.State], o.Version, "one record a state: %+v", o)
			total++
		}
	}
	t.Logf("%d orders placed under the kills", total)
}

// place posts an order and waits for its final state.
func place(t *testing.T, orders *forward, id string, customer, quantity int, price string) order {
	t.Helper()
	body := fmt.Sprintf(`{"id":%q,"customerId":%d,"product":"JUMPERS","quantity":%d,"price":%s}`, id, customer, quantity, price)
	status, answer, err := orders.do(2*time.Minute, http.MethodPost, "/v1/orders", body)
	require.NoError(t, err)
	require.Contains(t, []int{http.StatusCreated, http.StatusOK}, status, "%s", answer)
	return decided(t, orders, id)
}

// decided waits for an order's final state.
func decided(t *testing.T, orders *forward, id string) order {
	t.Helper()
	status, answer, err := orders.do(3*time.Minute, http.MethodGet, "/v1/orders/"+id+"/validated?timeout=20000", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, "%s: %s", id, answer)
	return decode(t, answer)
}

func get(t *testing.T, orders *forward, id string) order {
	t.Helper()
	status, answer, err := orders.do(time.Minute, http.MethodGet, "/v1/orders/"+id, "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, "%s: %s", id, answer)
	return decode(t, answer)
}

func decode(t *testing.T, answer []byte) order {
	t.Helper()
	var o order
	require.NoError(t, json.Unmarshal(answer, &o), "%s", answer)
	return o
}

func put(t *testing.T, f *forward, path, body string) {
	t.Helper()
	status, answer, err := f.do(time.Minute, http.MethodPut, path, body)
	require.NoError(t, err)
	require.Contains(t, []int{http.StatusOK, http.StatusCreated}, status, "%s", answer)
}

func edit(t *testing.T, file, old, with string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), old)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), old, with, 1)), 0o644))
}

// stepper tells how long steps took.
func stepper(t *testing.T) func(what string) {
	began, last := time.Now(), time.Now()
	return func(what string) {
		t.Helper()
		now := time.Now()
		t.Logf("%6.1fs (+%.1fs) %s", now.Sub(began).Seconds(), now.Sub(last).Seconds(), what)
		last = now
	}
}

// chartCopy is the chart with the repository's SQL in it, to be edited.
func chartCopy(t *testing.T) string {
	t.Helper()
	chart := os.Getenv("CHART")
	if chart == "" {
		chart = ".."
	}
	out := t.TempDir()
	for _, name := range []string{"Chart.yaml", "values.yaml", "values.schema.json", ".helmignore", "services.yaml"} {
		text, err := os.ReadFile(filepath.Join(chart, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(out, name), text, 0o644))
	}
	for _, name := range []string{"templates", "dashboards", "ksql"} {
		from, err := filepath.EvalSymlinks(filepath.Join(chart, name))
		require.NoError(t, err)
		require.NoError(t, os.CopyFS(filepath.Join(out, name), os.DirFS(from)))
	}
	return out
}
