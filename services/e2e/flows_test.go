package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/client"
)

// macro are the services around the order flow. Each is plugged in by its own
// folders and its entries in the lists.
var macro = []string{"payments", "fulfilment", "shipping", "billing", "repricing", "shop", "grid", "email"}

func startFlows(t *testing.T, env map[string]string) *stack {
	return start(t, options{env: env, only: []string{"orders", "fraud", "inventory", "details",
		"shop", "payments", "fulfilment", "shipping", "billing", "repricing"}})
}

// put calls the shop's admin API.
func (s *stack) put(path, body string) {
	s.t.Helper()
	a, err := call("PUT", s.urls["shop"]+path, json.RawMessage(body))
	require.NoError(s.t, err)
	require.Contains(s.t, []int{http.StatusOK, http.StatusCreated}, a.status, string(a.body))
}

// latest is the last record of each key of a topic.
func (s *stack) latest(topic string) map[string]record {
	out := map[string]record{}
	for _, r := range s.read(topic) {
		out[string(r.Key)] = r
	}
	return out
}

// TestFromPostToInvoice follows an order through all that is around it: validated,
// paid, released, shipped, billed, its stock gone, its revenue counted.
func TestFromPostToInvoice(t *testing.T) {
	s := startFlows(t, map[string]string{"PACKING_TIME": "0s", "PROVIDER_DECLINES": "0", "PROVIDER_OUTAGES": "60", "RETRY_AFTER": "10ms"})
	s.put("/v1/customers/15", `{"firstName":"Franz","lastName":"Kafka","email":"franz@example.com","level":"gold"}`)
	s.put("/v1/products/JUMPERS", `{"listPrice":10}`)
	s.put("/v1/stock/JUMPERS", `{"stock":10}`)
	s.await("product-prices", 1)
	s.caughtUp("inventory", "warehouse-inventory")

	const orders = 5
	for n := range orders {
		s.post(newOrder(fmt.Sprint("o", n), 15, "JUMPERS", 2, "10.00"))
	}
	s.eventually(60*time.Second, "every order is shipped", func() error {
		for n := range orders {
			if state := s.latest("orders")[fmt.Sprint("o", n)].str("STATE"); state != "SHIPPED" {
				return fmt.Errorf("order o%d is %s", n, state)
			}
		}
		return nil
	})
	s.await("invoices", orders)
	require.Len(t, s.read("payments"), orders)
	require.Len(t, s.read("shipments"), orders)
	for n := range orders {
		id := fmt.Sprint("o", n)
		invoice := s.latest("invoices")[id]
		require.Equal(t, "INV-"+id, invoice.str("INVOICEID"))
		require.Equal(t, "pay-"+id, invoice.str("PAYMENTID"))
		require.Equal(t, "20", strings.TrimSuffix(strings.TrimRight(invoice.str("AMOUNT"), "0"), "."))
	}
	s.eventually(30*time.Second, "the reservations are closed", func() error {
		if r := s.latest("reserved-stock")["JUMPERS"]; r.str("RESERVED") != "0" {
			return fmt.Errorf("%s are reserved", r.str("RESERVED"))
		}
		return nil
	})

	// The shop has none left: what was shipped can't be sold again.
	s.post(newOrder("none-left", 16, "JUMPERS", 1, "10.00"))
	require.Equal(t, "FAILED", s.final("none-left").State)

	// Revenue, by a pull query on billing's sidecar.
	c, err := client.New(s.procs["billing-sidecar"].urlOf())
	require.NoError(t, err)
	s.eventually(30*time.Second, "the revenue is counted", func() error {
		rows, err := c.Pull(t.Context(), `SELECT invoices, revenue FROM revenue_by_customer WHERE customerId = 15;`)
		if err != nil {
			return err
		}
		if len(rows.Rows) != 1 {
			return fmt.Errorf("%d rows", len(rows.Rows))
		}
		var row struct {
			Invoices int64
			Revenue  json.Number
		}
		if err := rows.Rows[0].Decode(&row); err != nil {
			return err
		}
		if row.Invoices != orders || row.Revenue != "100.00" {
			return fmt.Errorf("the row is %+v", row)
		}
		return nil
	})

	// The details check knows the price.
	s.post(newOrder("cheap", 17, "JUMPERS", 1, "1.00"))
	cheap := s.final("cheap")
	require.Equal(t, "FAILED", cheap.State)
	require.Contains(t, strings.Join(cheap.Reasons, ";"), `costs 10.00 now`)
}

// TestDeclinedOrdersStayUnshipped: who doesn't pay gets nothing, and no invoice.
func TestDeclinedOrdersStayUnshipped(t *testing.T) {
	s := startFlows(t, map[string]string{"PACKING_TIME": "0s", "PROVIDER_DECLINES": "100", "PROVIDER_OUTAGES": "0", "RESERVATION_EXPIRY": "3s"})
	s.put("/v1/stock/HATS", `{"stock":3}`)
	s.caughtUp("inventory", "warehouse-inventory")
	s.post(newOrder("1", 15, "HATS", 3, "10.00"))
	require.Equal(t, "VALIDATED", s.final("1").State)
	s.await("payment-failures", 1)
	require.Equal(t, "the card was declined", s.latest("payment-failures")["1"].str("REASON"))
	s.eventually(30*time.Second, "its stock is free again", func() error {
		if r := s.latest("reserved-stock")["HATS"]; r.str("RESERVED") != "0" {
			return fmt.Errorf("%s are reserved", r.str("RESERVED"))
		}
		return nil
	})
	s.post(newOrder("2", 16, "HATS", 3, "10.00"))
	require.Equal(t, "VALIDATED", s.final("2").State)
	require.Empty(t, s.read("payments"))
	require.Empty(t, s.read("shipments"))
	require.Empty(t, s.read("invoices"))
}

// TestFlowsSurviveKills kills payments, shipping and their sidecars while orders
// come in: each order is charged, sent and billed once.
func TestFlowsSurviveKills(t *testing.T) {
	s := startFlows(t, map[string]string{"PACKING_TIME": "50ms", "PROVIDER_DECLINES": "0", "PROVIDER_OUTAGES": "20", "RETRY_AFTER": "20ms"})
	s.put("/v1/stock/SOCKS", `{"stock":1000}`)
	s.caughtUp("inventory", "warehouse-inventory")
	victims := []string{"payments", "shipping", "payments-sidecar", "fulfilment-sidecar", "billing-sidecar"}
	const orders = 60
	for n := range orders {
		s.post(newOrder(fmt.Sprint("o", n), n, "SOCKS", 1, "10.00"))
		if n%10 == 5 {
			victim := victims[n/10%len(victims)]
			s.kill(victim)
			s.run(victim)
		}
	}
	s.eventually(90*time.Second, "every order has its invoice and is shipped", func() error {
		last, invoices := s.latest("orders"), s.latest("invoices")
		for n := range orders {
			id := fmt.Sprint("o", n)
			if last[id].Record == nil || last[id].str("STATE") != "SHIPPED" {
				return fmt.Errorf("order %s isn't shipped", id)
			}
			if invoices[id].Record == nil {
				return fmt.Errorf("order %s has no invoice", id)
			}
		}
		return nil
	})
	for _, topic := range []string{"payments", "shipments"} {
		seen := map[string]int{}
		for _, r := range s.read(topic) {
			seen[string(r.Key)]++
		}
		require.Len(t, seen, orders, topic)
		for key, n := range seen {
			require.Equal(t, 1, n, "%s %s", topic, key)
		}
	}
}

// TestPluggedIn: a service around the flow is all in its own folders and in the
// lists. No file of another service, program or SQL, knows its name; topics are
// the only thing that they share.
func TestPluggedIn(t *testing.T) {
	for _, name := range macro {
		word := regexp.MustCompile(`(?i)(services|ksql)/` + name + `\b`)
		for _, tree := range []string{"services", "ksql"} {
			err := filepath.WalkDir(filepath.Join(root, tree), func(path string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				rel, _ := filepath.Rel(root, path)
				parts := strings.Split(filepath.ToSlash(rel), "/")
				if d.IsDir() {
					switch d.Name() {
					case "node_modules", "e2e", name, name + "-node":
						return filepath.SkipDir
					}
					return nil
				}
				ext := filepath.Ext(path)
				if len(parts) < 3 || ext != ".go" && ext != ".sql" {
					return nil
				}
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				if found := word.Find(b); found != nil {
					t.Errorf("%s names %s, which is %s's", rel, found, name)
				}
				return nil
			})
			require.NoError(t, err)
		}
	}
}

// urlOf is the base URL of a process.
func (p *process) urlOf() string {
	return strings.TrimSuffix(strings.TrimSuffix(p.url, "/healthcheck"), "/readyz")
}
