package dev

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is a services.yaml.
type Config struct {
	// Root is what its paths are relative to: the folder above the file's.
	Root     string
	Broker   string
	Topics   string
	Services []Service // in the file's order
}

// Service is a service of a Config.
type Service struct {
	Name    string            `yaml:"-"`
	SQL     string            `yaml:"sql"`
	Sidecar string            `yaml:"sidecar"`
	Program string            `yaml:"program"`
	HTTP    string            `yaml:"http"`
	Env     map[string]string `yaml:"env"`
}

// Load reads services.yaml; the error has file and line.
func Load(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; run it in the repository's root, or give --services", err)
	}
	var file struct {
		Broker   string    `yaml:"broker"`
		Topics   string    `yaml:"topics"`
		Services yaml.Node `yaml:"services"`
	}
	d := yaml.NewDecoder(strings.NewReader(string(raw)))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c := &Config{Root: filepath.Dir(filepath.Dir(abs)), Broker: file.Broker, Topics: file.Topics}
	if c.Broker == "" || c.Topics == "" {
		return nil, fmt.Errorf("%s: broker and topics are needed", path)
	}
	for i := 0; i+1 < len(file.Services.Content); i += 2 {
		name, node := file.Services.Content[i], file.Services.Content[i+1]
		s := Service{Name: name.Value}
		text, err := yaml.Marshal(node)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, name.Line, err)
		}
		d := yaml.NewDecoder(strings.NewReader(string(text)))
		d.KnownFields(true)
		if err := d.Decode(&s); err != nil {
			return nil, fmt.Errorf("%s:%d: service %s: %w", path, name.Line, s.Name, err)
		}
		switch {
		case (s.SQL == "") != (s.Sidecar == ""):
			return nil, fmt.Errorf("%s:%d: service %s: sql and sidecar belong together", path, name.Line, s.Name)
		case (s.Program == "") != (s.HTTP == ""):
			return nil, fmt.Errorf("%s:%d: service %s: program and http belong together", path, name.Line, s.Name)
		case s.SQL == "" && s.Program == "":
			return nil, fmt.Errorf("%s:%d: service %s: has neither sql nor a program", path, name.Line, s.Name)
		}
		c.Services = append(c.Services, s)
	}
	if len(c.Services) == 0 {
		return nil, fmt.Errorf("%s: no services", path)
	}
	return c, nil
}

// path is a path of the file.
func (c *Config) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.Root, p)
}

// URL is where a service's program is reached, "" for none.
func (c *Config) URL(service string) string {
	for _, s := range c.Services {
		if s.Name == service && s.HTTP != "" {
			return "http://" + s.HTTP
		}
	}
	return ""
}

// checkPorts tries every address and names all that are taken.
func (c *Config) checkPorts() error {
	var taken []string
	try := func(addr, what string) {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			taken = append(taken, fmt.Sprintf("%s (%s)", addr, what))
			return
		}
		ln.Close()
	}
	try(c.Broker, "broker")
	for _, s := range c.Services {
		if s.Sidecar != "" {
			try(s.Sidecar, s.Name+" sidecar")
		}
		if s.HTTP != "" {
			try(s.HTTP, s.Name)
		}
	}
	if taken == nil {
		return nil
	}
	return fmt.Errorf("can't listen on %s: stop what runs there (another `sidestream dev`?) or change services.yaml", strings.Join(taken, ", "))
}
