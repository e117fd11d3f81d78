// Package sqltest runs SQL tests: files of statements with `--@test:` lines,
// INSERT INTO … VALUES for the records that go in and ASSERT … for what must
// come out. It is ksqlDB's test language (ksql/TESTING.md describes it), and runs
// on the engine in memory: no broker, no clock, one partition, the same result
// every time; or on a ksqlDB by URL ([Server]).
//
//	--@test: a customer over the limit fails
//	--@run: ../02-window.sql
//	INSERT INTO orders (id, customerId, price, rowtime) VALUES ('1', 7, 2500.00, 0);
//	ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('1', 'FAIL');
//
// In: files ([Load]) and variables. Out: a [Result] a test ([Run]), what of the SQL
// was exercised ([Cover]), reports ([JUnit]).
//
//	load.go      files → Test: directives, and the text of each test in its place
//	run.go       a test's statements in order; what must be refused
//	machine.go   statements → a catalogue, and the backend; ASSERT
//	backend.go   the engine in memory
//	server.go    a ksqlDB: names of the test's own, records one after the other
//	diff.go      two values → the elements that differ
//	jsonform.go  the form of ksql-test-runner: statements, inputs, outputs
//
// Next: command `sidestream test` finds files and reports; package deploy takes
// [Columns] for replays.
package sqltest
