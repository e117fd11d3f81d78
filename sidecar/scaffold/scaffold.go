package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/sidestream/sidestream/sidecar/manifest"
	"github.com/sidestream/sidestream/sidecar/topics"
)

//go:embed all:templates
var templates embed.FS

// Languages that a program can be in.
var Languages = []string{"go", "node", "python"}

// Service is what Make makes.
type Service struct {
	Name string `json:"name"`
	Lang string `json:"lang"`
	// Ident is the name as SQL and programs have it: with _ for -.
	Ident string `json:"-"`
	// Sidecar and HTTP are addresses that nothing in services.yaml has.
	Sidecar string   `json:"sidecar"`
	HTTP    string   `json:"http"`
	Files   []string `json:"files"` // new ones, from the root
	Lists   []string `json:"lists"` // to which an entry was added, from the root
	// Tests are the commands, at the root, that test the program.
	Tests []string `json:"tests"`
}

var nameRule = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)

// lists are edited in this order.
const (
	topicsList   = "ksql/topics.yaml"
	servicesList = "services/services.yaml"
	valuesList   = "helm/sidestream/values.yaml"
)

// Make makes a service in the repository at root. It writes all or nothing: the
// error says what is in the way.
func Make(root, name, lang string) (*Service, error) {
	if !slices.Contains(Languages, lang) {
		return nil, fmt.Errorf("language %q: give %s", lang, strings.Join(Languages, ", "))
	}
	s := &Service{Name: name, Lang: lang, Ident: strings.ReplaceAll(name, "-", "_")}
	if err := s.free(root); err != nil {
		return nil, err
	}
	s.Tests = map[string][]string{
		"go":     {"go test ./services/" + name},
		"node":   {"(cd services/" + name + " && npm ci --no-audit --no-fund && npm test)"},
		"python": {"(cd services/" + name + " && python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt && .venv/bin/python -m unittest)"},
	}[lang]
	files, err := s.files()
	if err != nil {
		return nil, err
	}
	edits, err := s.entries(root)
	if err != nil {
		return nil, err
	}
	made := []string{}
	undo := func(err error) (*Service, error) {
		for _, f := range made {
			_ = os.RemoveAll(f)
		}
		return nil, err
	}
	for _, dir := range []string{"ksql/" + name, "services/" + name} {
		made = append(made, filepath.Join(root, dir))
	}
	for _, f := range files {
		at := filepath.Join(root, f.path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return undo(err)
		}
		if err := os.WriteFile(at, f.text, 0o644); err != nil {
			return undo(err)
		}
		s.Files = append(s.Files, f.path)
	}
	before := map[string][]byte{}
	for _, e := range edits {
		at := filepath.Join(root, e.path)
		if before[at], err = os.ReadFile(at); err == nil {
			err = os.WriteFile(at, e.text, 0o644)
		}
		if err != nil {
			break
		}
		s.Lists = append(s.Lists, e.path)
	}
	if err == nil {
		err = valid(root)
	}
	if err != nil {
		for at, text := range before {
			err = errors.Join(err, os.WriteFile(at, text, 0o644))
		}
		return undo(err)
	}
	return s, nil
}

// free says what is in the way of the name, and finds addresses.
func (s *Service) free(root string) error {
	if !nameRule.MatchString(s.Name) || len(s.Name) > 40 {
		return fmt.Errorf("name %q: give small letters, digits and hyphens, at most 40, the first a letter", s.Name)
	}
	if strings.HasSuffix(s.Name, topics.SQLSuffix) || slices.Contains([]string{"kafka", "topics", "test", "internal", "transact", "e2e"}, s.Name) {
		return fmt.Errorf("name %q is taken: %s ends the names of sidecars, and kafka, topics, test, internal, transact and e2e are no services", s.Name, topics.SQLSuffix)
	}
	for _, dir := range []string{"ksql/" + s.Name, "services/" + s.Name} {
		if _, err := os.Lstat(filepath.Join(root, dir)); err == nil {
			return fmt.Errorf("%s is there already: choose another name", dir)
		}
	}
	m, err := manifest.Load(filepath.Join(root, servicesList))
	if err != nil {
		return err
	}
	list, err := topics.Load(filepath.Join(root, topicsList))
	if err != nil {
		return err
	}
	var sidecars, https, taken []string
	for _, o := range m.Services {
		if o.Name == s.Name {
			return fmt.Errorf("service %s is there already (%s:%d)", s.Name, servicesList, o.Line)
		}
		sidecars, https = append(sidecars, o.Sidecar), append(https, o.HTTP)
	}
	if _, err := topics.Rules(append(list, topics.Topic{Name: "x", Owner: s.Name})); err != nil {
		return err
	}
	for _, t := range list {
		if t.Name == s.Name || strings.HasPrefix(t.Name, s.Name+"-") {
			return fmt.Errorf("topic %s (%s:%d) has the name %s in it: choose another name", t.Name, topicsList, t.Line, s.Name)
		}
	}
	taken = slices.Concat(sidecars, https, []string{m.Broker, m.Registry})
	if s.Sidecar, err = next(sidecars, taken); err != nil {
		return err
	}
	s.HTTP, err = next(https, append(taken, s.Sidecar))
	return err
}

// next is an address behind those there are, which nobody has.
func next(of, taken []string) (string, error) {
	host, most := "127.0.0.1", 0
	for _, a := range of {
		if a == "" {
			continue
		}
		h, p, err := net.SplitHostPort(a)
		if err != nil {
			return "", fmt.Errorf("%s: address %q: %w", servicesList, a, err)
		}
		n, err := strconv.Atoi(p)
		if err != nil {
			return "", fmt.Errorf("%s: address %q: the port is no number", servicesList, a)
		}
		if n > most {
			host, most = h, n
		}
	}
	if most == 0 {
		most = 8087
	}
	for n := most + 1; n < 65536; n++ {
		if a := net.JoinHostPort(host, strconv.Itoa(n)); !slices.Contains(taken, a) {
			return a, nil
		}
	}
	return "", fmt.Errorf("%s: no port is left", servicesList)
}

type file struct {
	path string
	text []byte
}

// files are the templates filled in, sorted by path.
func (s *Service) files() ([]file, error) {
	var out []file
	for from, to := range map[string]string{"templates/sql": "ksql/" + s.Name, "templates/" + s.Lang: "services/" + s.Name} {
		err := fs.WalkDir(templates, from, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			raw, err := templates.ReadFile(p)
			if err != nil {
				return err
			}
			text, err := s.fill(p, string(raw))
			if err != nil {
				return err
			}
			rel := strings.TrimSuffix(strings.TrimPrefix(p, from+"/"), ".tmpl")
			out = append(out, file{path.Join(to, rel), text})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return out, nil
}

func (s *Service) fill(name, text string) ([]byte, error) {
	t, err := template.New(name).Delims("@{", "}@").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, s); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// valid reads the lists as everybody else does.
func valid(root string) error {
	if _, err := topics.Load(filepath.Join(root, topicsList)); err != nil {
		return err
	}
	_, err := manifest.Load(filepath.Join(root, servicesList))
	return err
}
