// Package monitor tells the truth about a sidecar: whether it runs, whether its
// tables answer with rows, and what state its queries are in.
//
// In: a ksqlDB server (or the embedded engine) by REST, the tables that its pod
// serves. Out: /healthz, /readyz and /metrics.
//
// # Why a server's own word isn't enough
//
// A ksqlDB that starts answers its liveness and readiness paths with success
// before it answers anything else, then /info says RUNNING while pull queries
// still fail, and for a moment they answer with success and no row for keys that
// exist. So ready means:
//
//   - /info says RUNNING;
//   - once, after a start: what this host holds is not far behind (Config.MaxLag),
//     by /clusterStatus, where the server has it;
//   - each table gives a row for a key that it has given before. The key is
//     remembered over restarts (Config.StateDir). A table that has never given one
//     is asked for any row; when it has answered for a while (Config.Settle)
//     without one, it counts as empty. A table that had rows and has none for a
//     minute counts as empty too.
//
// A Kafka that is away makes a server slow or silent; the pod is then not ready,
// and nobody restarts it for that.
//
//	monitor.go  the rounds: ask, remember, what to answer
//	table.go    one table's question
//	serve.go    HTTP and metrics
//
// Next: sidestream monitor, a container of each pod with SQL.
package monitor
