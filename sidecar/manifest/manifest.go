// Package manifest reads services/services.yaml: which services there are, where
// their halves are, and what a program reads besides its SQL.
//
// In: the file. Out: a [Manifest], or every mistake's line.
//
//	broker: 127.0.0.1:9092
//	registry: 127.0.0.1:8085            # a Schema Registry; optional
//	topics: ksql/topics.yaml
//	services:
//	  orders:
//	    sql: ksql/orders                # its sidecar's SQL
//	    sidecar: 127.0.0.1:8088         # where that sidecar listens on one machine
//	    program: ./services/orders      # a Go package, or a command:
//	    http: 127.0.0.1:8080            # where the program answers /readyz
//	    reads: [order-requests]         # topics that the program reads
//	    views: [ORDERS_VIEW]            # its SQL's tables that the program queries
//	    env: {ORDER_DEADLINE: 30s}
//	  email:
//	    program:
//	      dir: services/emailer-node    # where setup and command run; the root without it
//	      setup: [npm, ci]              # once, and again when the program's dependencies change
//	      command: [node, main.js]
//	    http: 127.0.0.1:8083
//
// Setup is a command, or a list of commands, that run one after another.
//
// An overlay is a file with `services:` alone: what it says of a service goes
// before what the first file says, key by key, and a service of a new name is one
// more.
//
// Next: sidestream dev runs it, package topology draws it, package scaffold adds
// to it.
package manifest

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Manifest is a services.yaml.
type Manifest struct {
	// Root is what its paths are relative to: the folder above the file's.
	Root     string
	Broker   string
	Registry string // where the Schema Registry listens; "" for none
	Topics   string
	Services []Service // in the file's order
}

// Service is a service of a Manifest.
type Service struct {
	Name    string            `yaml:"-"`
	SQL     string            `yaml:"sql"`
	Sidecar string            `yaml:"sidecar"`
	Program Program           `yaml:"program"`
	HTTP    string            `yaml:"http"`
	Env     map[string]string `yaml:"env"`
	// Reads are the topics that the program reads itself. What it writes are the
	// topics that it owns in topics.yaml.
	Reads []string `yaml:"reads"`
	// Views are the streams and tables of its SQL that the program queries.
	Views []string `yaml:"views"`
	Line  int      `yaml:"-"`
}

// Program is the program of a service: a Go package, or a command in any
// language. The zero value is none.
type Program struct {
	// Go is the path of a Go package, as go build takes it.
	Go string
	// Command and its arguments; the first is looked up in PATH, or is a path from
	// Dir.
	Command []string
	// Setup are the commands that prepare it.
	Setup [][]string
	// Dir is where Setup and Command run, from the root.
	Dir string
}

// Exists tells whether there is a program.
func (p Program) Exists() bool { return p.Go != "" || len(p.Command) > 0 }

// Folder is where the program's files are, from the root, "" for the root or
// without a program.
func (p Program) Folder() string {
	if p.Go != "" {
		return path.Clean(p.Go)
	}
	return p.Dir
}

// UnmarshalYAML takes a Go package's path, or the mapping with a command.
func (p *Program) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&p.Go)
	}
	var form struct {
		Dir     string    `yaml:"dir"`
		Setup   yaml.Node `yaml:"setup"`
		Command []string  `yaml:"command"`
	}
	if err := strict(n, &form); err != nil {
		return fmt.Errorf("program: %w", err)
	}
	if len(form.Command) == 0 || form.Command[0] == "" {
		return errors.New("program: give a Go package (./services/orders), or a mapping with `command: [node, main.js]`")
	}
	p.Dir, p.Command = form.Dir, form.Command
	if form.Setup.Kind == 0 {
		return nil
	}
	var one []string
	if form.Setup.Decode(&one) == nil && len(one) > 0 {
		p.Setup = [][]string{one}
		return nil
	}
	if err := form.Setup.Decode(&p.Setup); err != nil {
		return errors.New("program: setup: give a command as a list, [npm, ci], or a list of commands")
	}
	for _, c := range p.Setup {
		if len(c) == 0 {
			return errors.New("program: setup: a command is empty")
		}
	}
	return nil
}

// Load reads services.yaml and what overlays change of it; the error has file and
// line.
func Load(file string, overlays ...string) (*Manifest, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w; run it in the repository's root, or give --services", err)
	}
	var form struct {
		Broker   string    `yaml:"broker"`
		Registry string    `yaml:"registry"`
		Topics   string    `yaml:"topics"`
		Services yaml.Node `yaml:"services"`
	}
	d := yaml.NewDecoder(strings.NewReader(string(raw)))
	d.KnownFields(true)
	if err := d.Decode(&form); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Root: filepath.Dir(filepath.Dir(abs)), Broker: form.Broker, Registry: form.Registry, Topics: form.Topics}
	if m.Broker == "" || m.Topics == "" {
		return nil, fmt.Errorf("%s: broker and topics are needed", file)
	}
	for _, overlay := range overlays {
		if err := lay(&form.Services, overlay); err != nil {
			return nil, err
		}
	}
	for i := 0; i+1 < len(form.Services.Content); i += 2 {
		name, node := form.Services.Content[i], form.Services.Content[i+1]
		s := Service{Name: name.Value, Line: name.Line}
		fault := func(format string, args ...any) error {
			return fmt.Errorf("%s:%d: service %s: %s", file, name.Line, s.Name, fmt.Sprintf(format, args...))
		}
		if err := strict(node, &s); err != nil {
			return nil, fault("%v", err)
		}
		switch {
		case (s.SQL == "") != (s.Sidecar == ""):
			return nil, fault("sql and sidecar belong together")
		case !s.Program.Exists() != (s.HTTP == ""):
			return nil, fault("program and http belong together")
		case s.SQL == "" && !s.Program.Exists():
			return nil, fault("has neither sql nor a program")
		case len(s.Reads) > 0 && !s.Program.Exists():
			return nil, fault("reads are the topics of a program, and there is none; what its SQL reads stands in the SQL")
		case len(s.Views) > 0 && (!s.Program.Exists() || s.SQL == ""):
			return nil, fault("views are what a program queries of its SQL: it needs both")
		}
		m.Services = append(m.Services, s)
	}
	if len(m.Services) == 0 {
		return nil, fmt.Errorf("%s: no services", file)
	}
	return m, nil
}

// lay puts an overlay's services over those of base.
func lay(base *yaml.Node, overlay string) error {
	raw, err := os.ReadFile(overlay)
	if err != nil {
		return err
	}
	var form struct {
		Services yaml.Node `yaml:"services"`
	}
	d := yaml.NewDecoder(strings.NewReader(string(raw)))
	d.KnownFields(true)
	if err := d.Decode(&form); err != nil {
		return fmt.Errorf("%s: %w", overlay, err)
	}
	put := func(onto *yaml.Node, name, value *yaml.Node) {
		for i := 0; i+1 < len(onto.Content); i += 2 {
			if onto.Content[i].Value == name.Value {
				onto.Content[i+1] = value
				return
			}
		}
		onto.Content = append(onto.Content, name, value)
	}
	for i := 0; i+1 < len(form.Services.Content); i += 2 {
		name, service := form.Services.Content[i], form.Services.Content[i+1]
		at := -1
		for j := 0; j+1 < len(base.Content); j += 2 {
			if base.Content[j].Value == name.Value {
				at = j + 1
			}
		}
		if at < 0 {
			put(base, name, service)
			continue
		}
		for k := 0; k+1 < len(service.Content); k += 2 {
			put(base.Content[at], service.Content[k], service.Content[k+1])
		}
	}
	return nil
}

// Path is a path of the file.
func (m *Manifest) Path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(m.Root, p)
}

// URL is where a service's program is reached, "" for none.
func (m *Manifest) URL(service string) string {
	for _, s := range m.Services {
		if s.Name == service && s.HTTP != "" {
			return "http://" + s.HTTP
		}
	}
	return ""
}

// strict decodes a part of a document and refuses keys that nobody reads.
func strict(n *yaml.Node, out any) error {
	text, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	return d.Decode(out)
}
