package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sidestream/sidestream/services/internal/order"
	"github.com/sidestream/sidestream/services/internal/web"
)

func document(t *testing.T) map[string]any {
	t.Helper()
	var doc map[string]any
	require.NoError(t, yaml.Unmarshal(openAPI, &doc))
	return doc
}

// The document has the paths and methods of the router, no more and no less
// (HEAD goes without saying).
func TestOpenAPIHasTheRoutes(t *testing.T) {
	router := web.NewRouter()
	(&service{}).route(router, &api{}, &web.Health{}, nil, prometheus.NewRegistry(), &web.Guard{}, testLog(t))
	routes := map[string]bool{}
	require.NoError(t, router.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		for _, m := range methods {
			if m != "HEAD" {
				routes[m+" "+path] = true
			}
		}
		return err
	}))
	documented := map[string]bool{}
	for path, item := range document(t)["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				documented[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	require.Equal(t, slices.Sorted(maps.Keys(routes)), slices.Sorted(maps.Keys(documented)))
}

// Answers are as their schemas say.
func TestOpenAPISchemas(t *testing.T) {
	doc := document(t)
	raw, err := json.Marshal(doc)
	require.NoError(t, err)
	parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("openapi.json", parsed))
	check := func(schema, body string, good bool) {
		t.Helper()
		s, err := c.Compile("openapi.json#/components/schemas/" + schema)
		require.NoError(t, err)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		require.NoError(t, err, body)
		if err := s.Validate(v); good {
			require.NoError(t, err, body)
		} else {
			require.Error(t, err, body)
		}
	}
	b := newBroker(t)
	v := newFakeView(t, b)
	in := startInstance(t, b, v, "orders-0")
	require.Equal(t, string(openAPI), in.get("/openapi.yaml").is(200).body)

	check("NewOrder", jumpers("1"), true)
	check("Order", in.post(jumpers("1")).is(201).body, true)
	check("Order", in.post(jumpers("1")).is(200).body, true)
	check("Order", in.get("/v1/orders/1").is(200).body, true)
	v.put(order.Order{ID: "0", State: order.Shipped, Version: 3})
	v.put(order.Order{ID: "1", State: order.Created, Version: 1})
	check("Page", in.get("/v1/orders?limit=1").is(200).body, true)
	for _, a := range []answer{
		in.post(`{"x":1}`).is(422), in.post(`{`).is(400), in.post(`{}`, "Content-Type", "a/b").is(415),
		in.post(strings.Replace(jumpers("1"), "10,", "11,", 1)).is(409), in.get("/v1/orders/2").is(404),
		in.get("/v1/orders/1/validated?timeout=0").is(504), in.do("PUT", "/orders", "").is(405), in.get("/orders?limit=x").is(400),
	} {
		check("Problem", a.body, true)
	}
	for _, bad := range []string{`{"customerId":2,"product":"J","quantity":1}`, `{"id":"events","customerId":2,"product":"J","quantity":1,"price":1}`,
		`{"customerId":2,"product":"J","quantity":1.5,"price":1}`, `{"customerId":2,"product":"J","quantity":1,"price":1,"state":"CREATED"}`} {
		check("NewOrder", bad, false)
		in.post(bad).is(422)
	}

	// Every code of a problem that the program has is documented.
	codes := fmt.Sprint(doc["components"].(map[string]any)["schemas"].(map[string]any)["Problem"].(map[string]any)["properties"].(map[string]any)["code"])
	for _, code := range []string{"bad-fields", "malformed", "unsupported-media-type", "conflict", "not-found", "not-decided", "method-not-allowed", "bad-parameters",
		"unauthorized", "forbidden", "too-many-requests", "too-many-streams"} {
		require.Contains(t, codes, code)
	}
}
