// Package deploy puts what is checked in, topics and SQL, onto a running system,
// and says before what that would do. README.md tells what it does with each kind
// of edit, and how that was measured.
//
// In: topics.yaml; folders of NN-name.sql files with their variables. Out:
// topics on a broker; streams, tables and queries on a ksqlDB server or the
// embedded engine, which it reaches by REST, and by Kafka's own protocol for what
// REST can't do: offsets of consumer groups, the ledger.
//
//	LoadFolder      .sql files → statements in order, parsed; or every mistake,
//	Check           with file, line, column and a caret; analysed without a server
//	   │
//	MakePlan        statements, ledger, server → a class, a reason and a cost each
//	   │  plan.go      pairs what the folder wants with what is there
//	   │  world.go     what statements mean: the engine's analysis
//	   │  classify.go  the decision table
//	   ▼
//	Apply           under the service's lease (lease.go); what is the same isn't sent
//	   │  apply.go     new, in place, removed
//	   │  resume.go    a stateless query goes on as another one, at its offsets
//	   │  together.go  new versions beside old ones: prepare, …
//	   │  meet.go      … meet at the same record, cut over
//	   │  operation.go what must not be left half done, noted before it begins
//	   ▼
//	Ledger          what was applied, in a compacted topic (ledger.go): a server
//	                gives statements back in a form of its own, so that its text
//	                can't be compared with the file's
//
// Besides: LoadTopics and ApplyTopics for topics.yaml; Record and Replay for
// recorded records through changed SQL (recording.go, replay.go).
//
// Next: sidestream topics, plan, apply, replay and dev call it.
package deploy
