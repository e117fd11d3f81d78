// Package client speaks ksqlDB's REST API, to a real ksqlDB server and to the
// embedded engine alike: it knows nothing that only one of them does.
//
// What comes in are SQL texts; what goes out are the server's entities, rows
// and errors as Go values:
//
//	Execute       POST /ksql            statements → []Entity (typed, and raw JSON)
//	Pull, Query   POST /query-stream    a query that ends → rows
//	Push          POST /query-stream    a query that goes on → rows, until closed
//	Socket        GET /ws/query         the same over a websocket
//	Print         POST /query-stream    the records of a topic → lines
//	Inserts       POST /inserts-stream  rows → acknowledgements (HTTP/2)
//	Info, Healthcheck, Live, Ready, Status, ServerMetadata, ClusterStatus, IsValidProperty,
//	CloseQuery, Terminate               the server itself
//
// Nothing is rounded on the way: numbers arrive as json.Number with the
// server's own digits (a DECIMAL keeps its trailing zeros), DATE, TIME and
// TIMESTAMP as the text that was sent, BYTES as base64 text.
//
// Whatever the server refuses is an *Error with ksqlDB's error code. Values go
// into SQL by Bind, never by string concatenation.
//
// Statement lists, order and plans are package deploy's work; this package
// sends what it is given.
package client
