// Package topology draws what is checked in: which query and which program reads
// and writes which topic.
//
// In: a [project.Project]. Out: a [Graph], and of it text, Mermaid, SVG and JSON.
//
//	topology.go   project → Graph, at the wanted detail
//	text.go       Graph → lists for a terminal
//	mermaid.go    Graph → a flowchart that Markdown viewers draw
//	layout.go     Graph → places: layers from left to right, few crossings
//	svg.go        places → a picture, for light and dark pages
//
// All of it is deterministic: the same files give the same bytes, so that a
// generated picture can be checked in.
//
// What a query reads and writes stands in its SQL. What a program reads stands
// in services.yaml (`reads`, `views`); what it writes are the topics that it owns
// in topics.yaml.
//
// Next: sidestream topology prints it; ksql/README.md shows it.
package topology

//go:generate go run ../cmd/sidestream topology ../../ksql --detail service --output svg --to ../../ksql/topology.svg
