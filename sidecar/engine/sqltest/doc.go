// Package sqltest runs SQL tests: files of statements with `--@test:` lines,
// INSERT INTO … VALUES for the records that go in and ASSERT … for what must
// come out. It is ksqlDB's test language, and runs on the engine in memory: no
// broker, no clock, one partition, the same result every time.
//
//	--@test: a customer over the limit fails
//	--@run: ../02-window.sql
//	INSERT INTO orders (id, customerId, price, rowtime) VALUES ('1', 7, 2500.00, 0);
//	ASSERT VALUES fraud_validations (orderId, validationResult) VALUES ('1', 'FAIL');
//
// In: files ([Load]) and variables. Out: a [Result] a test ([Run]).
//
// # The language
//
//   - `--@test: NAME` begins a test. What stands before the first one is not run.
//   - `--@run: FILE` runs the statements of another file, its path relative to
//     the test's, with the variables of its folder. This line is ours.
//   - `--@expected.error: CLASS` and `--@expected.message: TEXT` say that the last
//     statement must be refused, with a message that contains the text.
//   - `INSERT INTO source (columns) VALUES (…)`: one record. ROWTIME is its time,
//     0 where it isn't given.
//   - `ASSERT VALUES source (columns) VALUES (…)`: the next record of the source's
//     topic, after those asserted before, has these columns. ROWTIME, WINDOWSTART
//     and WINDOWEND may be among them; columns not named are not looked at.
//   - `ASSERT NULL VALUES source (key columns) KEY (…)`: the next record is a
//     deletion of that key.
//   - `ASSERT STREAM | TABLE name (columns) WITH (…)`: the source has these
//     columns, and the properties KAFKA_TOPIC, KEY_FORMAT, VALUE_FORMAT named.
//
// Next: command `sidestream test` finds files and reports.
package sqltest
