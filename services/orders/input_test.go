package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/internal/order"
)

// TestBadRequests sends every kind of bad request. Nothing of it may reach a
// topic.
func TestBadRequests(t *testing.T) {
	b := newBroker(t)
	in := startInstance(t, b, newFakeView(t, b), "orders-0")
	const good = `"customerId":2,"product":"J","quantity":1,"price":1`
	fields := func(names ...string) []string { return names }
	long := strings.Repeat("x", 65)
	for _, c := range []struct {
		name   string
		body   string
		status int
		code   string
		fields []string // nil: not looked at
		header []string
	}{
		{"empty body", ` `, 400, "malformed", nil, nil},
		{"cut off", `{"customerId":2,`, 400, "malformed", nil, nil},
		{"not JSON", `customerId=2`, 400, "malformed", nil, nil},
		{"single quotes", `{'customerId':2}`, 400, "malformed", nil, nil},
		{"trailing comma", `{` + good + `,}`, 400, "malformed", nil, nil},
		{"two objects", `{` + good + `}{}`, 400, "malformed", nil, nil},
		{"a member twice", `{` + good + `,"price":2}`, 400, "malformed", nil, nil},
		{"not UTF-8", "{" + good + ",\"id\":\"\xff\"}", 400, "malformed", nil, nil},
		{"NaN", `{"customerId":2,"product":"J","quantity":1,"price":NaN}`, 400, "malformed", nil, nil},
		{"leading zero", `{"customerId":2,"product":"J","quantity":01,"price":1}`, 400, "malformed", nil, nil},

		{"too large", `{` + good + `,"id":"` + strings.Repeat("x", 1<<16) + `"}`, 413, "too-large", nil, nil},
		{"form", good, 415, "unsupported-media-type", nil, []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"no content type", good, 415, "unsupported-media-type", nil, []string{"Content-Type", ""}},
		{"compressed", good, 415, "unsupported-media-type", nil, []string{"Content-Encoding", "gzip"}},

		{"an array", `[]`, 422, "bad-fields", fields(""), nil},
		{"null", `null`, 422, "bad-fields", fields(""), nil},
		{"text", `"order"`, 422, "bad-fields", fields(""), nil},
		{"all missing", `{}`, 422, "bad-fields", fields("customerId", "product", "quantity", "price"), nil},
		{"nulls", `{"id":null,"customerId":null,"product":null,"quantity":null,"price":null}`, 422, "bad-fields",
			fields("id", "customerId", "product", "quantity", "price"), nil},
		{"wrong types", `{"id":1,"customerId":"2","product":3,"quantity":"4","price":"5"}`, 422, "bad-fields",
			fields("id", "customerId", "product", "quantity", "price"), nil},
		{"more wrong types", `{"id":{},"customerId":[],"product":true,"quantity":false,"price":{}}`, 422, "bad-fields",
			fields("id", "customerId", "product", "quantity", "price"), nil},
		{"fractions", `{"customerId":2.5,"product":"J","quantity":1.0,"price":1.001}`, 422, "bad-fields", fields("customerId", "quantity", "price"), nil},
		{"exponents", `{"customerId":2e3,"product":"J","quantity":1e0,"price":1e-3}`, 422, "bad-fields", fields("customerId", "quantity", "price"), nil},
		{"out of range", `{"customerId":9223372036854775808,"product":"J","quantity":2147483648,"price":10000000000}`, 422, "bad-fields",
			fields("customerId", "quantity", "price"), nil},
		{"below range", `{"customerId":-9223372036854775809,"product":"J","quantity":-2147483649,"price":-10000000000.00}`, 422, "bad-fields",
			fields("customerId", "quantity", "price"), nil},
		{"huge exponent", `{"customerId":2,"product":"J","quantity":1,"price":1e999999999999999999999}`, 422, "bad-fields", fields("price"), nil},
		{"long product", fmt.Sprintf(`{"customerId":2,"product":%q,"quantity":1,"price":1}`, strings.Repeat("p", 257)), 422, "bad-fields", fields("product"), nil},
		{"unknown", `{` + good + `,"colour":"red","a/b":{"c":[1]}}`, 422, "bad-fields", fields("colour", "a/b"), nil},
		{"wrong case", `{"CustomerID":2,"product":"J","quantity":1,"price":1}`, 422, "bad-fields", fields("CustomerID", "customerId"), nil},
		{"set by us", `{` + good + `,"state":"CREATED","version":1,"reasons":null}`, 422, "bad-fields", fields("state", "version", "reasons"), nil},
		{"empty id", `{"id":"",` + good + `}`, 422, "bad-fields", fields("id"), nil},
		{"long id", `{"id":"` + long + `",` + good + `}`, 422, "bad-fields", fields("id"), nil},
		{"id with a slash", `{"id":"a/b",` + good + `}`, 422, "bad-fields", fields("id"), nil},
		{"id with a quote", `{"id":"' OR ''='",` + good + `}`, 422, "bad-fields", fields("id"), nil},
		{"id with an umlaut", `{"id":"ä",` + good + `}`, 422, "bad-fields", fields("id"), nil},
		{"id of a path", `{"id":"events",` + good + `}`, 422, "bad-fields", fields("id"), nil},
		{"id of another path", `{"id":"validated",` + good + `}`, 422, "bad-fields", fields("id"), nil},
		{"dots", `{"id":"..",` + good + `}`, 422, "bad-fields", fields("id"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, path := range []string{"/v1/orders", "/orders"} {
				a := in.do("POST", path, c.body, c.header...).is(c.status)
				require.Contains(t, a.body, `"code":"`+c.code+`"`)
				require.Contains(t, a.body, `"type":"urn:sidestream:problem:`+c.code+`"`)
				require.Contains(t, a.body, `"instance":"`+path+`"`)
				if c.fields != nil {
					require.ElementsMatch(t, c.fields, a.fields(), a.body)
				}
			}
		})
	}
	for _, c := range []struct {
		method, path string
		status       int
		field        string
	}{
		{"GET", "/v1/orders/1?timeout=-1", 400, "timeout"},
		{"GET", "/v1/orders/1?timeout=60001", 400, "timeout"},
		{"GET", "/v1/orders/1?timeout=soon", 400, "timeout"},
		{"GET", "/v1/orders/1?timeout=", 400, "timeout"},
		{"GET", "/v1/orders/1?timeout=1&timeout=2", 400, "timeout"},
		{"GET", "/v1/orders/1?wait=5", 400, "wait"},
		{"GET", "/v1/orders/1/validated?timeout=1.5", 400, "timeout"},
		{"GET", "/orders/validated/1?timeout=99999999999999999999", 400, "timeout"},
		{"GET", "/v1/orders/a%2Fb%20", 404, ""},
		{"GET", "/v1/orders/a%20b", 400, "id"},
		{"GET", "/v1/orders/%27%3B", 400, "id"},
		{"GET", "/v1/orders/a%20b/validated", 400, "id"},
		{"GET", "/v1/orders?limit=0", 400, "limit"},
		{"GET", "/v1/orders?limit=501", 400, "limit"},
		{"GET", "/v1/orders?customerId=x", 400, "customerId"},
		{"GET", "/v1/orders?customerId=9223372036854775808", 400, "customerId"},
		{"GET", "/v1/orders?state=DONE", 400, "state"},
		{"GET", "/v1/orders?cursor=%21", 400, "cursor"},
		{"GET", "/v1/orders?cursor=JyBPUg", 400, "cursor"}, // ' OR
		{"GET", "/v1/orders?order=price", 400, "order"},
		{"GET", "/v1/orders?limit=%zz", 400, ""},
		{"POST", "/v1/orders?timeout=x", 400, "timeout"},
		{"GET", "/v1/orders/events?x=1", 400, "x"},
		{"PUT", "/v1/orders/1", 405, ""},
		{"DELETE", "/v1/orders", 405, ""},
		{"GET", "/v2/orders", 404, ""},
		{"GET", "/v1/orders/1/shipped", 404, ""},
	} {
		a := in.do(c.method, c.path, "").is(c.status)
		if c.field != "" {
			require.Equal(t, []string{c.field}, a.fields(), c.path)
		}
	}
	a := in.do("DELETE", "/v1/orders", "").is(405)
	require.Equal(t, "GET, HEAD, POST", a.header.Get("Allow"))
	a = in.get("/v1/orders/events", "Last-Event-ID", "seven").is(400)
	require.Equal(t, []string{"Last-Event-ID"}, a.fields())
	require.Empty(t, b.read(requestsTopic, ""))
}

func TestEdgesOfGoodOrders(t *testing.T) {
	for body, want := range map[string]order.Order{
		`{"id":"a-B_0.~:9","customerId":9223372036854775807,"product":"J","quantity":2147483647,"price":9999999999.99}`: {
			ID: "a-B_0.~:9", CustomerID: 1<<63 - 1, Product: "J", Quantity: 1<<31 - 1, Price: order.MaxMoney},
		`{"customerId":-9223372036854775808,"product":"\u00e9\ud83d\ude00","quantity":-2147483648,"price":-0.01}`: {
			CustomerID: -1 << 63, Product: "é😀", Quantity: -1 << 31, Price: -1},
		` { "customerId" : 0 , "product" : "" , "quantity" : 0 , "price" : 0.0000 } ` + "\n": {},
		`{"id":"` + strings.Repeat("x", 64) + `","customerId":1,"product":"` + strings.Repeat("p", 256) + `","quantity":1,"price":1}`: {
			ID: strings.Repeat("x", 64), CustomerID: 1, Product: strings.Repeat("p", 256), Quantity: 1, Price: 100},
	} {
		got, p := parseOrder([]byte(body))
		require.Nil(t, p, body)
		require.Equal(t, want, got)
	}
}

func FuzzParseOrder(f *testing.F) {
	f.Add([]byte(jumpers("1")))
	f.Add([]byte(`{"id":7,"x":[{}],"price":1e5}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, p := parseOrder(b)
		switch {
		case p == nil:
			again, p := parseOrder([]byte(fmt.Sprintf(`{"customerId":%d,"product":"J","quantity":%d,"price":%v}`, o.CustomerID, o.Quantity, o.Price)))
			if p != nil || again.Price != o.Price {
				t.Fatalf("%q: %v", b, p)
			}
		case p.Status == http.StatusUnprocessableEntity && len(p.Errors) == 0, p.Status != 400 && p.Status != 422:
			t.Fatalf("%q: %+v", b, p)
		}
	})
}
