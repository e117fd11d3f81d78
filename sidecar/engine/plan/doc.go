// Package plan describes queries as data: which operators to run, in what
// order, on what columns, with which stores and internal topics.
//
// In: what package analyze resolved. Out: [Query], a tree of [Node]s over typed
// [Expr]essions, and [Split], the tree cut into sub-topologies at its
// repartition topics. EXPLAIN prints a plan; golden files pin it.
//
// Plans hold no behaviour. Next: package exec builds operators from a
// sub-topology.
package plan
