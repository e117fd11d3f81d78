// Package feed puts a shop's data into a running system: orders through the
// orders API, customers, stock and payments onto their topics, as their owners
// would.
//
// In: CSV or JSON lines. Out: HTTP requests, records, and for every row that
// couldn't be taken its line and why.
//
// Next: sidestream load calls it with files, the demo with a shop of its own.
package feed
