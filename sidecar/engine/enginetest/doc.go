// Package enginetest runs suites of SQL cases on the engine and says which pass.
//
// In: ksqlDB's query cases, one JSON object a line (they are not part of this
// repository; tests that need them skip where they are absent), or SQL and
// records of one's own by [Session]. Out: for each case nil or what differs.
//
// A [Session] applies statements to a catalogue and a driver, without Kafka, as
// the server does with its command topic. [Case.Run] makes one, pipes the case's
// records query by query, and compares what came out by ksqlDB's rules: records
// of a topic in order, numbers with their scale, field names in any case.
package enginetest
