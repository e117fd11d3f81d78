// Package e2e holds the tests of the whole flow: real processes (the sidecars,
// the programs, a broker), real topics, the checked-in SQL. Its files:
//
//	scenarios_test.go  the acceptance scenarios of the order flow, by number
//	flaws_test.go      what earlier systems got wrong, each by name
//	kill_test.go       kill -9 under load, then the books are checked
//	edit_test.go       SQL edited while everything runs
//	email_test.go      the mails: one suite for the Go and the Node.js program
//	email_kill_test.go kill -9 of emailer and SMTP server at random steps
//	stack_test.go      starts, kills and stops the processes
//	books_test.go      reads the topics alone and says whether they add up
//
// They run on the embedded broker; with TEST_KAFKA=host:port on that Apache
// Kafka, whose topics they delete.
package e2e
