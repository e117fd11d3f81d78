package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/engine/rest"
)

// sidecar starts an embedded engine on an embedded broker, for the examples: a
// program has the URL of its own.
func sidecar() (url string, stop func()) {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"default.replication.factor": "1"}))
	check(err)
	start, done := context.WithTimeout(context.Background(), 20*time.Second)
	defer done()
	e, err := engine.New(start, engine.Config{Brokers: broker.ListenAddrs(), Logger: slog.New(slog.DiscardHandler), Properties: map[string]string{"auto.offset.reset": "earliest"}})
	check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	serving, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- rest.New(e, slog.New(slog.DiscardHandler)).Serve(serving, l) }()
	c, err := client.New("http://" + l.Addr().String())
	check(err)
	defer c.Close()
	_, err = c.Exec(start, `CREATE STREAM orders (id STRING KEY, customer BIGINT, price DECIMAL(12,2), placed TIMESTAMP, lines ARRAY<STRUCT<product STRING, quantity INT>>)
		WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=1);
		CREATE TABLE spent AS SELECT customer, SUM(price) AS total, COUNT(*) AS orders FROM orders GROUP BY customer;`)
	check(err)
	_, err = c.InsertAll(start, "orders", slices.Values([]any{
		map[string]any{"id": "o1", "customer": 15, "price": "10.50", "placed": "2026-05-01T12:00:00", "lines": []any{map[string]any{"product": "pen", "quantity": 2}}},
		map[string]any{"id": "o2", "customer": 15, "price": "4.50", "placed": "2026-05-02T12:00:00"},
	}))
	check(err)
	return "http://" + l.Addr().String(), func() {
		end()
		<-served
		e.Close()
		broker.Close()
	}
}

func ExampleClient_Pull() {
	url, stop := sidecar()
	defer stop()

	c, err := client.New(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	res, err := c.Pull(context.Background(), "SELECT id, price FROM orders WHERE id = ?;", "o1")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range res.Rows {
		var id, price string
		if err := row.Scan(&id, &price); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(id, price)
	}
	// Output: o1 10.50
}

func ExampleClient_Push() {
	url, stop := sidecar()
	defer stop()

	c, _ := client.New(url)
	defer c.Close()
	rows, err := c.Push(context.Background(), client.Query{
		SQL:        "SELECT id, price FROM orders EMIT CHANGES LIMIT 2;",
		Properties: map[string]any{"auto.offset.reset": "earliest"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rows.Close()
	for row, err := range rows.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row.Values...)
	}
	// Output:
	// o1 10.50
	// o2 4.50
}

// A push query ends with its context, wherever it waits.
func ExampleClient_Push_cancel() {
	url, stop := sidecar()
	defer stop()

	c, _ := client.New(url)
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rows, err := c.Push(ctx, client.Query{SQL: "SELECT id FROM orders EMIT CHANGES;", Properties: map[string]any{"auto.offset.reset": "earliest"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rows.Close()
	for row, err := range rows.All() {
		if errors.Is(err, context.Canceled) {
			fmt.Println("canceled")
			return
		}
		fmt.Println(row.Values...)
		if row.Values[0] == "o2" {
			cancel()
		}
	}
	// Output:
	// o1
	// o2
	// canceled
}

func ExampleTyped() {
	url, stop := sidecar()
	defer stop()

	type order struct {
		ID     string
		Price  string `ksql:"PRICE"` // its digits, exact
		Placed time.Time
		Lines  []struct {
			Product  string
			Quantity int
		}
	}
	c, _ := client.New(url)
	defer c.Close()
	rows := c.PullEach(context.Background(), client.Query{SQL: "SELECT id, price, placed, lines FROM orders WHERE id = 'o1';"})
	for o, err := range client.Typed[order](rows) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(o.ID, o.Price, o.Placed.Format(time.DateOnly), o.Lines[0].Quantity, o.Lines[0].Product)
	}
	// Output: o1 10.50 2026-05-01 2 pen
}

func ExampleClient_Execute() {
	url, stop := sidecar()
	defer stop()

	c, _ := client.New(url)
	defer c.Close()
	entities, err := c.Execute(context.Background(), client.Statements{
		SQL:        "CREATE STREAM large AS SELECT * FROM orders WHERE price > ${limit}; SHOW QUERIES;",
		Properties: map[string]any{"auto.offset.reset": "earliest"},
		Variables:  map[string]string{"limit": "100"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(entities[0].CommandStatus.Status)
	for _, q := range entities[1].Queries {
		fmt.Println(q.Sinks[0], q.State)
	}
	// Output:
	// SUCCESS
	// LARGE RUNNING
	// SPENT RUNNING
}

func ExampleClient_InsertAll() {
	url, stop := sidecar()
	defer stop()

	c, _ := client.New(url)
	defer c.Close()
	n, err := c.InsertAll(context.Background(), "orders", slices.Values([]any{
		map[string]any{"id": "o3", "price": "7.25"},
		struct {
			ID    string `json:"id"`
			Price string `json:"price"`
		}{"o4", "8.00"},
	}))
	fmt.Println(n, err)
	_, err = c.InsertAll(context.Background(), "orders", slices.Values([]any{map[string]any{"id": "o5", "price": "7.255"}}))
	fmt.Println(client.Code(err))
	// Output:
	// 2 <nil>
	// 40000
}

func ExampleClient_Socket() {
	url, stop := sidecar()
	defer stop()

	c, _ := client.New(url)
	defer c.Close()
	rows, err := c.Socket(context.Background(), client.Query{SQL: "SELECT id, price FROM orders EMIT CHANGES LIMIT 1;", Properties: map[string]any{"auto.offset.reset": "earliest"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rows.Close()
	fmt.Println(rows.Columns)
	for row, err := range rows.All() {
		fmt.Println(row.Values, err)
	}
	// Output:
	// [{ID STRING} {PRICE DECIMAL(12, 2)}]
	// [o1 10.50] <nil>
}

func ExampleClient_Print() {
	url, stop := sidecar()
	defer stop()

	c, _ := client.New(url)
	defer c.Close()
	for line, err := range c.Print(context.Background(), client.Query{SQL: "PRINT orders FROM BEGINNING LIMIT 1;"}) {
		fmt.Println(line != "", err)
	}
	// Output: true <nil>
}

func ExampleError() {
	url, stop := sidecar()
	defer stop()

	c, _ := client.New(url)
	defer c.Close()
	_, err := c.Exec(context.Background(), "SELEC 1;")
	if client.Code(err) == client.CodeBadStatement {
		fmt.Println(err)
	}
	// Output:
	// ksqlDB error 40001 (POST /ksql): line 1:1: Syntax Error
	// Unknown statement 'SELEC'
	// Did you mean 'SELECT'?
	// in: SELEC 1;
}

func ExampleBind() {
	sql, _ := client.Bind("SELECT * FROM ORDERS_VIEW WHERE ID = ? AND CUSTOMERID = ?;", "o'1", 15)
	fmt.Println(sql)
	// Output: SELECT * FROM ORDERS_VIEW WHERE ID = 'o''1' AND CUSTOMERID = 15;
}
