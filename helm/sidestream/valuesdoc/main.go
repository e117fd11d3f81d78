// Command valuesdoc writes the table of the chart's values into its README.
//
// In: values.yaml, where each value that users set has a comment that begins with
// "# -- ". Out: README.md, with the table between its two marks. A value without
// such a comment, and without any below it, is an error: nothing stays
// undocumented.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:generate go run .

const (
	begin = "<!-- values: made by go generate from values.yaml -->"
	end   = "<!-- end of values -->"
)

func main() {
	if err := run("../values.yaml", "../README.md"); err != nil {
		fmt.Fprintln(os.Stderr, "valuesdoc:", err)
		os.Exit(1)
	}
}

func run(values, readme string) error {
	raw, err := os.ReadFile(values)
	if err != nil {
		return err
	}
	table, err := tableOf(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", values, err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return fmt.Errorf("%s: the marks %q and %q are missing", readme, begin, end)
	}
	return os.WriteFile(readme, []byte(before+begin+"\n\n"+table+"\n"+end+after), 0o644)
}

// tableOf is the table of a values.yaml.
func tableOf(raw []byte) (string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return "", err
	}
	if len(doc.Content) == 0 {
		return "", errors.New("is empty")
	}
	var b strings.Builder
	b.WriteString("| value | default | |\n|---|---|---|\n")
	if err := rows(&b, "", doc.Content[0]); err != nil {
		return "", err
	}
	return b.String(), nil
}

// rows writes the values of a mapping, depth first, as the file has them.
func rows(b *strings.Builder, prefix string, n *yaml.Node) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := prefix + key.Value
		if text, ok := comment(key.HeadComment); ok {
			shown, err := inJSON(value)
			if err != nil {
				return fmt.Errorf("line %d: %s: %w", key.Line, name, err)
			}
			fmt.Fprintf(b, "| `%s` | `%s` | %s |\n", name, shown, text)
			continue
		}
		if value.Kind != yaml.MappingNode || len(value.Content) == 0 {
			return fmt.Errorf("line %d: %s has no comment that begins with \"# -- \"", key.Line, name)
		}
		if err := rows(b, name+".", value); err != nil {
			return err
		}
	}
	return nil
}

// comment is what follows the last "# -- " of a comment, in one line.
func comment(text string) (string, bool) {
	i := strings.LastIndex(text, "# -- ")
	if i < 0 {
		return "", false
	}
	var words []string
	for line := range strings.Lines(text[i+len("# -- "):]) {
		words = append(words, strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "#"))...)
	}
	return strings.ReplaceAll(strings.Join(words, " "), "|", `\|`), true
}

func inJSON(n *yaml.Node) (string, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return "", err
	}
	raw, err := json.Marshal(v)
	return string(raw), err
}
