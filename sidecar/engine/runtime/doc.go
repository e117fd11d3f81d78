// Package runtime runs plans on Kafka, exactly once.
//
// In: a plan.Query. Out: records on its topics, rows for who looks its table up.
//
// A query has one goroutine, one consumer and one transactional producer, and a
// task for each sub-topology and partition (exec.Task). The goroutine polls,
// hands each task its inputs in the order of their timestamps, and commits:
//
//	poll ─► task inputs ─► exec.Task ─► produce (output, repartition, changelog)
//	                                └─► state overlay
//	drained, or the commit interval is over:
//	changelog ─► flush ─► offsets into the transaction ─► end ─► overlay into the store
//
// The local store is written after the transaction has ended, together with the
// changelog's offset, so it is never ahead of Kafka. After a crash it may be
// behind, and reads the changelog from there. Whatever fails, a query's life
// ends and the next one starts from what was committed: a life is
//
//	producer id (fences the life before) ─► offsets ─► restore ─► loop
//
// One process runs all partitions of a query, so partitions are assigned, not
// balanced; the group only keeps the offsets, under ksqlDB's name.
//
// Files: runtime.go (the set of queries), query.go (lives), loop.go (one life),
// input.go (time order), commit.go (transactions), store.go and restore.go
// (state), transient.go (push queries), lookup.go (pull queries).
package runtime
