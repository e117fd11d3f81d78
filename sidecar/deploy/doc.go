// Package deploy puts what is checked in, topics and SQL, onto a running system.
//
// In: topics.yaml; folders of NN-name.sql files with their variables. Out:
// topics on a broker; streams, tables and queries on a ksqlDB server or the
// embedded engine, which it reaches by REST alone.
//
//	LoadTopics    topics.yaml → []Topic, or every mistake in it with its line
//	ApplyTopics   makes missing topics, tells how existing ones differ
//	LoadFolder    a service's .sql files → statements in order, parsed; or every
//	              mistake, with file, line, column and a caret
//	Apply         statements → server: new ones are created, changed ones replaced,
//	              what is the same isn't sent
//
// What was applied is remembered in a [Ledger], a compacted topic as a rule: a
// server gives statements back in a normal form of its own, so that its text
// can't be compared with the file's.
//
// Next: sidestream topics, sidestream apply and sidestream dev call it.
package deploy
