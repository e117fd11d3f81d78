package deploy

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
)

// Folder is a service's SQL: what its .sql files say, in the order of the files'
// names.
type Folder struct {
	Dir        string
	Service    string // the folder's own name
	Statements []*Statement
}

// Statement is a statement that apply sends.
type Statement struct {
	File string
	// Node is its tree; its position is in the file, with variables filled in.
	Node ast.Statement
	// Name of the stream, table or type that it makes; of INSERT INTO, the target.
	Name string
	Kind Kind
	// Reads are the sources that its query reads.
	Reads []string
	// Properties were SET before it in the folder.
	Properties map[string]string
	// Rebuild is what the comments before it allow: see [Allowance].
	Rebuild Allowance

	text string // of the file, with variables filled in
}

// Kind is what a statement makes.
type Kind string

// What statements make.
const (
	Stream Kind = "STREAM"
	Table  Kind = "TABLE"
	Type   Kind = "TYPE"
	Insert Kind = "INSERT"
)

// Allowance is a line --@rebuild: before a statement: what may be done when an
// edit of it can't be made in place.
type Allowance string

// What --@rebuild: allows.
const (
	// NoRebuild: nothing; apply stops, or is told --allow-rebuild.
	NoRebuild Allowance = ""
	// AllowRebuild: a new version beside the old one, filled from the beginning.
	AllowRebuild Allowance = "allow"
	// Onward: a stateless query goes on in its topic where the old one stood; what
	// it wrote before stays as it is.
	Onward Allowance = "onward"
)

// SQL is the statement's text, ended by a semicolon.
func (s *Statement) SQL() string { return s.Node.Source() }

// Place is file:line:column.
func (s *Statement) Place() string {
	p := s.Node.Position()
	return fmt.Sprintf("%s:%d:%d", s.File, p.Line, p.Col)
}

// Fault is every mistake of a folder, shown with file, line, column and caret.
type Fault struct {
	Text string
	// Code is ExitRebuild or ExitForbidden where that is why; else 0.
	Code int
}

// Error is the shown text without its last newline.
func (f *Fault) Error() string { return strings.TrimRight(f.Text, "\n") }

var sqlFile = regexp.MustCompile(`^[0-9]+-[A-Za-z0-9._-]+\.sql$`)

// LoadFolder reads and parses the NN-name.sql files of a service's folder and
// fills in ${name} from vars. The error is a *Fault with all mistakes of all
// files.
func LoadFolder(dir string, vars map[string]string) (*Folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("SQL folder: %w", err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir, Service: filepath.Base(abs)}
	var fault strings.Builder
	props := map[string]string{}
	for _, e := range entries { // sorted by name
		if e.IsDir() || filepath.Ext(e.Name()) != ".sql" {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if !sqlFile.MatchString(e.Name()) {
			fmt.Fprintf(&fault, "%s: the name must begin with a number and a hyphen (03-limit.sql), which give its place in the order\n", path)
			continue
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		fault.WriteString(f.read(path, string(raw), vars, props))
	}
	if fault.Len() > 0 {
		return nil, &Fault{Text: fault.String()}
	}
	if len(f.Statements) == 0 {
		return nil, fmt.Errorf("SQL folder %s: no statements: files are called NN-name.sql", dir)
	}
	if text := f.duplicates(); text != "" {
		return nil, &Fault{Text: text}
	}
	return f, nil
}

// read adds a file's statements, or shows its mistakes.
func (f *Folder) read(path, raw string, vars, props map[string]string) string {
	text, err := parser.Substitute(raw, vars)
	if err != nil {
		return diagnostic.Render(path, raw, err)
	}
	nodes, err := parser.Parse(text)
	if err != nil {
		return diagnostic.Render(path, text, err)
	}
	var errs diagnostic.Errors
	end := 0 // of the statement before
	for _, node := range nodes {
		s := &Statement{File: path, Node: node, text: text}
		pos := node.Position()
		if s.Rebuild, err = allowance(text, end, pos.Offset); err != nil {
			errs = append(errs, diagnostic.At(pos, "%v", err))
		}
		end = pos.Offset + len(node.Source())
		switch n := node.(type) {
		case *ast.SetProperty:
			props[n.Name] = n.Value
			continue
		case *ast.UnsetProperty:
			delete(props, n.Name)
			continue
		}
		if !s.name() {
			e := diagnostic.At(node.Position(), "A service's folder can't hold this statement.")
			e.Hint = "there are CREATE STREAM, CREATE TABLE, CREATE TYPE, INSERT INTO … SELECT, SET and UNSET"
			errs = append(errs, e)
			continue
		}
		s.Properties = maps.Clone(props)
		f.Statements = append(f.Statements, s)
	}
	if errs != nil {
		return diagnostic.Render(path, text, errs)
	}
	return ""
}

// rebuildLine begins a comment that allows a rebuild.
const rebuildLine = "--@rebuild:"

// allowance reads the --@rebuild: line in the comments between two statements.
func allowance(text string, from, to int) (Allowance, error) {
	out := NoRebuild
	for line := range strings.Lines(text[min(from, to):to]) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), rebuildLine)
		if !ok {
			continue
		}
		word, _, _ := strings.Cut(strings.TrimSpace(value), " ") // a reason may follow
		switch out = Allowance(word); out {
		case AllowRebuild, Onward:
		default:
			return NoRebuild, fmt.Errorf("%s %s is unknown: it is allow (a new version beside the old one) or onward (the same topic, from where the old one stands).", rebuildLine, out)
		}
	}
	return out, nil
}

// duplicates shows objects that two statements make.
func (f *Folder) duplicates() string {
	var b strings.Builder
	first := map[string]*Statement{}
	for _, s := range f.Statements {
		if s.Kind == Insert {
			continue
		}
		key := s.Name
		if s.Kind == Type {
			key = "type " + key
		}
		if old, ok := first[key]; ok {
			b.WriteString(s.render(fmt.Sprintf("%s is made at %s already.", s.Name, old.Place()), ""))
			continue
		}
		first[key] = s
	}
	return b.String()
}

// render shows a mistake of the statement at its beginning.
func (s *Statement) render(message, hint string) string {
	e := diagnostic.At(s.Node.Position(), "%s", message)
	e.Hint = hint
	return diagnostic.Render(s.File, s.text, e)
}

func sourceKind(table bool) Kind {
	if table {
		return Table
	}
	return Stream
}

func reads(q *ast.Query) []string {
	var out []string
	for _, s := range q.From.Sources() {
		if !slices.Contains(out, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

// LoadVariables reads a variables.yaml: a mapping of services to their
// variables.
func LoadVariables(path string) (map[string]map[string]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out map[string]map[string]string
	if err := yaml.Unmarshal(raw, &out); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

// Variables are those of a service's folder: from the variables.yaml beside it
// (or in it), with those given in defines before them. A missing file is none.
func Variables(dir string, defines map[string]string) (map[string]string, error) {
	out := map[string]string{}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	all, err := LoadVariables(filepath.Join(filepath.Dir(abs), "variables.yaml"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	maps.Copy(out, all[filepath.Base(abs)])
	maps.Copy(out, defines)
	return out, nil
}

// normal is a statement's text without comments and with single spaces, so that
// its layout doesn't count. What is in quotes stays.
func normal(sql string) string {
	var b strings.Builder
	space := false
	put := func(s string) {
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteString(s)
	}
	for i := 0; i < len(sql); {
		switch c := sql[i]; {
		case c == '-' && strings.HasPrefix(sql[i:], "--"):
			end := strings.IndexByte(sql[i:], '\n')
			if end < 0 {
				end = len(sql) - i
			}
			i, space = i+end, true
		case c == '/' && strings.HasPrefix(sql[i:], "/*"):
			end := strings.Index(sql[i+2:], "*/")
			if end < 0 {
				end = len(sql) - i - 4
			}
			i, space = i+end+4, true
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i, space = i+1, true
		case c == '\'' || c == '"' || c == '`':
			end := i + 1
			for end < len(sql) && sql[end] != c {
				end++
			}
			end = min(end+1, len(sql))
			put(sql[i:end])
			i = end
		default:
			put(sql[i : i+1])
			i++
		}
	}
	return strings.TrimSpace(strings.TrimRight(b.String(), "; "))
}
