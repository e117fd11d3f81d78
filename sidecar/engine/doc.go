// Package engine is the embedded ksqlDB: one process that runs a service's SQL.
//
// In: requests with SQL text, and Kafka. Out: answers as ksqlDB gives them, rows
// of queries, and records on topics. [New] makes an [Engine]; package rest serves
// it over HTTP. A statement goes this way:
//
//	                 text
//	                  │  parser            (format writes it back, in canonical form)
//	                  ▼
//	             ast.Statement
//	                  │  analyze           (catalog: streams, tables, types; function;
//	                  │                     mistakes leave here as diagnostic.Error)
//	                  ▼
//	     catalog.Source + plan.Query       (plan: the operators, and EXPLAIN)
//	                  │
//	      ┌───────────┴───────────┐
//	      ▼                       ▼
//	statement log (Kafka)      runtime ──────► Kafka: sinks, repartitions, changelogs
//	written first; replayed       │  tasks, transactions, restore
//	at the next start             ▼
//	                            exec           records in, records out: no Kafka,
//	                              │            no disk, no clock
//	                       serde, state, types
//
// What a request does, statement by statement:
//
//  1. All its statements are tried in a sandbox, a copy of the catalogue: when one
//     is refused nothing has happened (execute.go).
//  2. Each becomes a [change] (change.go): topics to make, a source to put or to
//     drop, queries to start or to stop.
//  3. A change is written to the statement log (log.go), then carried out
//     (apply.go). A query's id has the number of its place in the log.
//  4. At the start the log is replayed: catalogue and queries are as they were,
//     with the same ids, and so with the same offsets and state on Kafka.
//
// One process at a time runs a service id (owner.go); the statement log's writer
// and each query are fenced by transactional ids besides.
//
// Reading: SELECT without EMIT is answered from the stores of a query, or by
// reading a stream's topic to its end (pull.go); with EMIT it is a query whose
// rows go to the client (push.go). PRINT reads a topic as it is (print.go).
// INSERT VALUES and inserts streams write it (insert.go).
package engine
