// Package enginetest runs suites of SQL cases on the engine and says which pass.
//
// In: ksqlDB's query cases, one JSON object a line (they are not part of this
// repository; tests that need them skip where they are absent), or SQL and
// records of one's own by [Session]. Out: a [Report] of what passed, with typed
// [Differences] for what didn't.
//
// A [Session] applies statements to a catalogue and a driver, without Kafka, as
// the server does with its command topic. [Case.Run] makes one, pipes the case's
// records query by query, and compares what came out by ksqlDB's rules: records
// of a topic in order, numbers with their scale, field names in any case, times,
// windows, headers, then sources and topics with their formats and schemas.
// [Case.RunREST] runs a case over the REST API of a server of its own, and
// compares answers. [Suite] runs many; [Compatibility] makes COMPATIBILITY.md.
//
// Next: the command in folder conformance is what `make conformance` runs.
// testdata/passing.txt are the ids of the cases that must pass, skips.yaml those
// that are left out and why.
package enginetest
