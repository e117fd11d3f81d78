// Package transact runs a function over the records of Kafka topics exactly
// once, with local state. It is the one library that the thin Go halves share.
//
//	input topics ──► Runner ──► Processor.Process(tx, record)
//	                              │ tx.State(): Get, Put, Delete, Range
//	                              │ tx.Emit(record)
//	                              ▼
//	            one Kafka transaction: outputs + state changelog + input offsets
//	                              │ committed
//	                              ▼
//	                   local store (Pebble), OnCommit
//
// What comes in: the records of Config.Inputs, read committed only. All inputs
// must have the same number of partitions; partition n of every input, the
// state of n and partition n of the changelog are one task, and a task is
// owned by one instance of the consumer group at a time.
//
// What goes out: the records that the processor emits. They, the changes of
// the state and the offsets of the inputs commit together or not at all. A
// record may be processed more than once (after an abort, a crash or a
// rebalance), but its effects happen once. So a processor must have no effect
// of its own: what it does, it does through its Tx.
//
// # When it commits
//
// As soon as the fetched input is used up, so an idle service answers at once;
// under load when MaxBatch records or CommitInterval are reached.
//
// # State
//
// A key-value map per partition, ordered by key. Changes lie in memory until
// their transaction has committed, then go to Pebble. Pebble's write-ahead log
// is off: the changelog topic is the log. A checkpoint in the same store says
// up to which changelog offset it is complete; a start, or a partition that
// moves here, reads only what follows, and all of it if there is no local
// store, if the changelog was made anew, or if the checkpoint is so old that
// compaction may have removed deletions which it has not seen.
//
// # Failure
//
//   - An abortable error: the transaction is aborted, the state is as before,
//     and reading starts again behind the last committed record.
//   - A fenced producer (another instance runs with the same id, or the broker
//     gave up a slow transaction), any fatal error of the client, an unknown
//     outcome of a commit: both clients are closed and made anew, the state is
//     brought up to date from the changelog, and work goes on.
//   - A consumer that is fenced (the broker takes it for another of its name) has
//     a fatal error, and its client can't be closed: it is left behind, and a new
//     one takes over.
//   - A broker that is away: retried for ever. Only at start it is an error.
//   - A zombie: every transaction carries the group's generation (KIP-447), so
//     one that lost its partitions can't commit. Its successor waits until the
//     zombie's open transaction is settled before it reads offsets and state.
//   - An error of the processor: Run returns it. A Poison error is logged with
//     topic, partition and offset, counted, and the record is passed by.
//
// # Goroutines
//
// Run's own goroutine polls, processes and commits; rebalance callbacks run on
// it too, inside poll. Beside it are one that reads delivery reports and one
// that passes on the client's log, both owned by a life (life.go), which waits
// for them.
package transact
