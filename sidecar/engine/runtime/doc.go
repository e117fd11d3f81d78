// Package runtime runs plans on Kafka, exactly once.
//
// In: a plan.Query. Out: records on its topics, rows for who looks its table up.
//
// A query has one goroutine, a fetcher and a transactional producer, and a task
// for each sub-topology and partition (exec.Task). The goroutine takes what was
// fetched, hands each task its inputs in the order of their timestamps, and
// commits:
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
//	producer id (fences the life before) ─► offsets ─► restore ─► operators ─► loop
//
// Operators are made on the restored stores, for they read their stream times
// from there.
//
// Fetching and producing speak Kafka's protocol over the client's connections
// (batch.go, fetch.go, producer.go) instead of using its consumer and producer:
// time order needs to know of each partition whether it is caught up, a life that
// ends at any error has nothing to retry, and records are encoded and decoded in
// place.
//
// One process runs all partitions of a query, so partitions are assigned, not
// balanced; the group only keeps the offsets, under ksqlDB's name.
//
// Files: runtime.go (the set of queries), query.go (lives), life.go and tasks.go
// (what a life is made of), loop.go, input.go (time order), commit.go and
// producer.go (transactions), fetch.go, batch.go, pace.go, store.go and restore.go
// (state), cluster.go (topics), problems.go (processing log), transient.go (push
// queries), lookup.go (pull queries).
package runtime
