package lint

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sidestream/sidestream/sidecar/project"
)

// Severity of a rule: Error for what will fail or give wrong results, Warning for
// what must be looked at.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Rule is an entry of the catalogue.
type Rule struct {
	Code     string   `yaml:"code" json:"code"` // SL001: permanent
	Name     string   `yaml:"name" json:"name"`
	Severity Severity `yaml:"severity" json:"severity"`
	Title    string   `yaml:"title" json:"title"`
	Why      string   `yaml:"why" json:"why"`
	Instead  string   `yaml:"instead" json:"instead"`
	Bad      string   `yaml:"bad" json:"bad"`
	Good     string   `yaml:"good" json:"good"`
}

//go:embed rules.yaml
var catalogue []byte

// Rules is the catalogue, by code.
var Rules = mustRead()

func mustRead() []Rule {
	var out []Rule
	d := yaml.NewDecoder(strings.NewReader(string(catalogue)))
	d.KnownFields(true)
	if err := d.Decode(&out); err != nil {
		panic("lint: rules.yaml: " + err.Error()) // it is part of the program
	}
	for i := range out {
		out[i].Why, out[i].Instead = strings.TrimSpace(out[i].Why), strings.TrimSpace(out[i].Instead)
	}
	return out
}

// Find is the rule of that code or name.
func Find(name string) (Rule, bool) {
	i := slices.IndexFunc(Rules, func(r Rule) bool { return strings.EqualFold(r.Code, name) || strings.EqualFold(r.Name, name) })
	if i < 0 {
		return Rule{}, false
	}
	return Rules[i], true
}

// checks are what the codes stand for: each looks at one statement. SL000 is
// allow.go's, SL020 looks at services.yaml (programs.go).
var checks = map[string]func(*check, *project.Statement){
	"SL001": noGrace,
	"SL002": leftJoinToTable,
	"SL003": innerJoinToTable,
	"SL004": notCoPartitioned,
	"SL005": unkeyedOutput,
	"SL006": caching,
	"SL007": unusedSource,
	"SL008": windowedTopic,
	"SL009": insertWithoutID,
	"SL010": fixedLimit,
	"SL011": selectStar,
	"SL012": topicNotListed,
	"SL013": notTheOwner,
	"SL014": partitionsDiffer,
	"SL015": notAReader,
	"SL016": columnCase,
	"SL017": noFormat,
	"SL018": noPartitions,
	"SL019": unnamedColumn,
}

// Explain is a rule for people.
func (r Rule) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s (%s)\n%s\n\n", r.Code, r.Name, r.Severity, r.Title)
	wrap(&b, r.Why)
	b.WriteString("\n")
	wrap(&b, r.Instead)
	for _, part := range []struct{ title, sql string }{{"Instead of", r.Bad}, {"write", r.Good}} {
		if part.sql == "" {
			continue
		}
		fmt.Fprintf(&b, "\n%s\n", part.title)
		for line := range strings.Lines(part.sql) {
			b.WriteString("    " + line)
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// wrap writes a paragraph in lines of at most 80 characters.
func wrap(b *strings.Builder, text string) {
	n := 0
	for _, word := range strings.Fields(text) {
		w := len([]rune(word))
		switch {
		case n == 0:
		case n+1+w > 80:
			b.WriteByte('\n')
			n = 0
		default:
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += w
	}
	b.WriteByte('\n')
}
