// Package dev runs the whole system on one machine, each part a process of its
// own, for people who work on it.
//
// In: services.yaml, the programs, the SQL. Out: a running system, what happens
// in it as lines and a live table, and a clean stop.
//
//	config.go   addresses of services.yaml that are taken
//	build.go    Go programs are built, others set up
//	process.go  a child process: started, watched, started again, stopped
//	system.go   the order in which all of it starts and stops
//	watch.go    edited .sql files are applied
//	observe.go  the orders topic as figures
//	screen.go   lines above, the table below
//
// Goroutines: each process has one (process.go); the watcher, the observer and
// the table one each. All end when the context does, and [System.Run] waits for
// them.
//
// Next: sidestream dev calls it; package shop fills it for the demo.
package dev
