// Package engine is the embedded ksqlDB: one process that runs a service's SQL.
//
// In: requests with SQL text, and Kafka. Out: answers as ksqlDB gives them, rows
// of queries, and records on topics. [New] makes an [Engine]; package rest serves
// it over HTTP. A statement goes this way, a package a phase:
//
//	                    text
//	                     │  parser          (diagnostic: a mistake with its position;
//	                     ▼                   format writes trees back as text)
//	               ast.Statement
//	                     │  analyze         (catalog: streams, tables, types; function;
//	                     │                   serde's Schema Registry; the last place
//	                     ▼                   where a user's mistake is found)
//	       catalog.Source + plan.Query      (plan: data only; the operators, and EXPLAIN)
//	                     │
//	     ┌───────────────┼──────────────────────────┐
//	     ▼               ▼                          ▼
//	statement log     runtime                    driver
//	(Kafka) written   tasks, transactions,       the same tasks in memory, for
//	first; replayed   restore                    sqltest, enginetest and replays
//	at the next          │  ▲                       │
//	start                ▼  │                       ▼
//	                    exec                       exec
//	      records in, records out: no Kafka, no disk, no clock
//	                     │
//	   serde (bytes ↔ columns)   state, state/disk (stores)   types, schema (values)
//
//	Kafka ─► runtime ─► exec ─► runtime ─► Kafka: sinks, repartitions, changelogs, offsets,
//	                                       in one transaction
//
// What a request does, statement by statement:
//
//  1. All its statements are tried in a sandbox, a copy of the catalogue: when one
//     is refused nothing has happened (session.go, execute.go).
//  2. Each becomes a [change] (change.go): topics to make, schemas to register, a
//     source to put or to drop, queries to start or to stop.
//  3. A change is written to the statement log (log.go), then carried out
//     (apply.go). A query's id has the number of its place in the log. What the
//     Schema Registry said of a statement stands beside it (schemas.go), so that a
//     replay asks nobody.
//  4. At the start the log is replayed: catalogue and queries are as they were,
//     with the same ids, and so with the same offsets and state on Kafka.
//
// With a Schema Registry, schemas are registered as statements declare topics, and
// what it told of a statement is replayed with it (schemas.go).
//
// One process at a time runs a service id (owner.go); the statement log's writer
// and each query are fenced by transactional ids besides.
//
// Reading: SELECT without EMIT is answered from the stores of a query, or by
// reading a stream's topic to its end (pull.go); with EMIT it is a query whose
// rows go to the client (push.go). PRINT reads a topic as it is (print.go,
// printschemas.go). INSERT VALUES and inserts streams write it (insert.go).
//
// Telling: SHOW, LIST and DESCRIBE (show.go, traffic.go), EXPLAIN (explain.go),
// settings (properties.go), numbers for metrics (admin.go).
package engine
