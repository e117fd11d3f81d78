// Package project reads what is checked in as a whole: every service's SQL,
// topics.yaml and services.yaml, and what the SQL means.
//
// In: the folder ksql/, or one service's folder in it. Out: a [Project]: the
// statements of each service with the sources and plans that the engine's
// analysis makes of them; positions are those in the files, variables included.
//
//	ksql/               the root
//	  topics.yaml       topics and their owners, if it is there
//	  variables.yaml    values of ${name}, by service
//	  orders/           a service: NN-name.sql
//	services/services.yaml   beside ksql/, if it is there
//
// Nothing is asked of a broker or a server: partitions are those of topics.yaml.
//
// Next: package lint looks for traps in it, package topology draws it.
package project
