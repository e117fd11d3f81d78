package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/sidestream/sidestream/sidecar/client"
)

// sidecarURL stands in for a sidecar: a server with one table of one order.
func sidecarURL() (string, func()) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /query-stream", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"queryId":"query_1","columnNames":["ID","PRICE"],"columnTypes":["STRING","DECIMAL(12, 2)"]}`+"\n"+`["o1",10.50]`+"\n")
	})
	mux.HandleFunc("POST /ksql", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"@type":"statement_error","error_code":40001,"message":"line 1:1: Syntax Error","statementText":"SELEC 1;","entities":[]}`)
	})
	s := httptest.NewServer(mux)
	return s.URL, s.Close
}

func ExampleClient_Pull() {
	url, stop := sidecarURL()
	defer stop()

	c, err := client.New(url)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	res, err := c.Pull(context.Background(), "SELECT ID, PRICE FROM ORDERS_VIEW WHERE ID = ?;", "o1")
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
	url, stop := sidecarURL()
	defer stop()

	c, _ := client.New(url)
	defer c.Close()
	rows, err := c.Push(context.Background(), client.Query{
		SQL:        "SELECT ID, PRICE FROM ORDERS EMIT CHANGES LIMIT 1;",
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
	// Output: o1 10.50
}

func ExampleError() {
	url, stop := sidecarURL()
	defer stop()

	c, _ := client.New(url)
	defer c.Close()
	_, err := c.Exec(context.Background(), "SELEC 1;")
	if client.Code(err) == client.CodeBadStatement {
		fmt.Println(err)
	}
	// Output:
	// ksqlDB error 40001 (POST /ksql): line 1:1: Syntax Error
	// in: SELEC 1;
}

func ExampleBind() {
	sql, _ := client.Bind("SELECT * FROM ORDERS_VIEW WHERE ID = ? AND CUSTOMERID = ?;", "o'1", 15)
	fmt.Println(sql)
	// Output: SELECT * FROM ORDERS_VIEW WHERE ID = 'o''1' AND CUSTOMERID = 15;
}
