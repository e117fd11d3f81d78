// Package rest serves ksqlDB's HTTP API on the engine.
//
// In: HTTP requests, over HTTP/1.1 and clear-text HTTP/2 on the same port. Out:
// the answers of a ksqlDB server: the same paths, media types, bodies, statuses
// and error codes.
//
//	server.go      routes, media types, the listener
//	statements.go  /ksql, /status, /info, /healthcheck and the like
//	query.go       /query, /query-stream, /close-query: rows as they come
//	inserts.go     /inserts-stream
//	websocket.go   /ws/query
//	value.go       SQL values as JSON
//	protobuf.go    rows as Protobuf messages
//	request.go     bodies, and what is wrong with them
//	metrics.go     /metrics, for Prometheus
//
// It needs of the engine what [Engine] says, so that its tests can do without
// Kafka.
package rest
