package enginetest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Recordings are what is known of exchanges recorded from a real server: how many
// of their requests have a statement of each kind, and those whose answers differ
// here for a reason.
type Recordings struct {
	Statements map[string]int
	Exceptions []RecordingException
}

// RecordingException is an exchange whose answer differs, and why.
type RecordingException struct {
	Scenario string
	// Exchange is its place in the scenario, Request a part of what was sent.
	Exchange int
	Request  string
	Reason   string
}

// LoadRecordings reads the recorded exchanges of a folder, and the list of
// exceptions, which may be missing.
func LoadRecordings(dir, exceptions string) (*Recordings, error) {
	out := &Recordings{Statements: map[string]int{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if err := out.read(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	data, err := os.ReadFile(exceptions)
	if os.IsNotExist(err) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(data, &out.Exceptions); err != nil {
		return nil, fmt.Errorf("%s: %w", exceptions, err)
	}
	return out, nil
}

func (r *Recordings) read(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var scenario struct {
		Exchanges []struct {
			Request *struct{ Body *string }
		}
	}
	if err := json.Unmarshal(data, &scenario); err != nil {
		return err
	}
	for _, x := range scenario.Exchanges {
		if x.Request == nil || x.Request.Body == nil {
			continue
		}
		var body struct{ KSQL, SQL string }
		if json.Unmarshal([]byte(*x.Request.Body), &body) != nil {
			continue // a body of another endpoint
		}
		f := features{}
		f.text(body.KSQL + body.SQL)
		for it := range f {
			if it.kind == statementFeature {
				r.Statements[it.name]++
			}
		}
	}
	return nil
}

// Compatibility is COMPATIBILITY.md: what of ksqlDB the engine has, by the cases
// that touch it.
func Compatibility(r *Report, rec *Recordings) []byte {
	c := &compatibility{passed: map[feature]int{}, total: map[feature]int{}}
	for i := range r.Results {
		for f := range r.Results[i].covers {
			c.total[f]++
			if r.Results[i].State == Passed {
				c.passed[f]++
			}
		}
	}
	c.line("<!-- Made by `make compatibility` from a run of the query cases. Don't edit. -->")
	c.line("# Compatibility with ksqlDB\n")
	c.line("The measure is ksqlDB's own query cases: `make conformance` runs them, this page counts them. A case counts wherever its statements touch something; \"4 of 5\" says that of five cases that touch it four give what ksqlDB gives, to the record and its time. What no case touches has tests of its own, and, where a number stands under *recorded*, requests to a real server (7.9.5) that `make golden` repeats and whose answers it compares.\n")
	c.line("Of %d cases %d pass, %d fail and %d are left out.\n", len(r.Results), r.Passed, r.Failed, r.Skipped)
	c.exceptions(r, rec)
	c.statements(rec)
	c.table("Parts of queries", partFeature, c.names(partFeature))
	c.functions()
	var kinds []string
	for k := types.Boolean; k <= types.Struct; k++ {
		kinds = append(kinds, k.String())
	}
	c.table("Types", typeFeature, kinds)
	c.table("Formats", formatFeature, []string{serde.JSON, serde.Delimited, serde.Kafka, serde.None, serde.Avro, serde.Protobuf, serde.JSONSchema, serde.ProtobufNoSR})
	c.files(r)
	return []byte(c.b.String())
}

type compatibility struct {
	b             strings.Builder
	passed, total map[feature]int
}

func (c *compatibility) line(format string, args ...any) { fmt.Fprintf(&c.b, format+"\n", args...) }

func (c *compatibility) exceptions(r *Report, rec *Recordings) {
	c.line("## Exceptions\n")
	n := 0
	for i := range r.Results {
		if x := &r.Results[i]; x.State != Passed {
			reason := x.Reason
			if x.State == Failed {
				reason = "fails"
			}
			c.line("- case *%s*: %s", x.ID, reason)
			n++
		}
	}
	for _, x := range rec.Exceptions {
		c.line("- recorded exchange %s/%d, `%s`: %s", x.Scenario, x.Exchange, strings.TrimSpace(x.Request), strings.TrimSpace(x.Reason))
		n++
	}
	if n == 0 {
		c.line("None.")
	}
	c.line("")
}

func (c *compatibility) cases(kind, name string) string {
	f := feature{kind, name}
	if c.total[f] == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d", c.passed[f], c.total[f])
}

func (c *compatibility) statements(rec *Recordings) {
	c.line("## Statements\n\n| statement | cases | recorded |\n|---|---|---|")
	for _, name := range allStatements {
		recorded := "–"
		if n := rec.Statements[name]; n > 0 {
			recorded = fmt.Sprint(n)
		}
		c.line("| %s | %s | %s |", name, c.cases(statementFeature, name), recorded)
	}
	c.line("")
}

// names are the features of a kind that cases touch, sorted.
func (c *compatibility) names(kind string) []string {
	var out []string
	for f := range c.total {
		if f.kind == kind {
			out = append(out, f.name)
		}
	}
	sort.Strings(out)
	return out
}

func (c *compatibility) table(title, kind string, names []string) {
	c.line("## %s\n\n| %s | cases |\n|---|---|", title, kind)
	for _, name := range names {
		c.line("| %s | %s |", name, c.cases(kind, name))
	}
	c.line("")
}

func (c *compatibility) functions() {
	list := function.Builtin().List()
	byKind := map[string][]string{}
	for _, l := range list {
		byKind[l.Kind] = append(byKind[l.Kind], l.Name)
	}
	c.line("## Functions\n\nAll %d of ksqlDB, by name. Those without a case have tests beside their code.\n", len(list))
	for _, kind := range []string{"SCALAR", "AGGREGATE", "TABLE"} {
		names := byKind[kind]
		slices.Sort(names)
		c.line("| %s (%d) | cases |\n|---|---|", strings.ToLower(kind), len(names))
		for _, name := range names {
			c.line("| %s | %s |", name, c.cases(functionFeature, name))
		}
		c.line("")
	}
}

func (c *compatibility) files(r *Report) {
	c.line("## Cases by file\n\nFiles under `rest/` run over the REST API, the others on the deterministic driver.\n\n| file | pass |\n|---|---|")
	for _, f := range r.Files {
		c.line("| %s | %d of %d |", f.File, f.Passed, f.Passed+f.Failed+f.Skipped)
	}
}
