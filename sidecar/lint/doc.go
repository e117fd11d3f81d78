// Package lint finds what the server takes but what goes wrong later: late
// records dropped, rows never completed, topics with two writers.
//
// In: a [project.Project]. Out: a [Finding] each, with file, line, column, code
// and what to do; [Render] shows them.
//
//	rules.yaml   the catalogue: codes (permanent), severities, explanations
//	rule.go      the catalogue read, and the Go function behind each code
//	lint.go      the rules run over the statements
//	allow.go     --@lint: comments, which allow a finding with a reason
//	queries.go   rules about what a query does
//	sources.go   rules about what is declared
//	topics.go    rules about topics.yaml
//	programs.go  the rule about services.yaml
//
// A new rule: an entry in rules.yaml with the next number, a function under its
// code in rule.go, a case in testdata.
//
// Next: sidestream lint prints what it finds; CI runs it over ksql/.
package lint
