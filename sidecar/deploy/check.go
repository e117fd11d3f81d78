package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/function"
)

// Check analyses a folder from nothing, as a server without topics would: names,
// types, keys, joins. The error is a *Fault with every mistake. What depends on
// a server's topics, their partitions, is left to the server.
func Check(f *Folder) error {
	c := &checker{catalog: catalog.New(), functions: function.Builtin(), failed: map[string]bool{}}
	var text strings.Builder
	for i, s := range f.Statements {
		if slices.ContainsFunc(s.Reads, func(r string) bool { return c.failed[r] }) || s.Kind == Insert && c.failed[s.Name] {
			c.failed[s.Name] = s.Kind != Insert || c.failed[s.Name]
			continue // it would only repeat the mistake that was shown
		}
		err := c.statement(s, fmt.Sprintf("CHECK_%d", i))
		if err == nil {
			continue
		}
		if s.Kind != Insert {
			c.failed[s.Name] = true
		}
		errs := diagnostic.All(err)
		for _, e := range errs {
			if !e.Pos.Known() {
				e.Pos = s.Node.Position()
			}
		}
		text.WriteString(diagnostic.Render(s.File, s.text, errs))
	}
	if text.Len() > 0 {
		return &Fault{text.String()}
	}
	return nil
}

type checker struct {
	catalog   *catalog.Catalog
	functions function.Registry
	failed    map[string]bool // sources whose statement was refused
}

func (c *checker) statement(s *Statement, id string) error {
	config := maps.Clone(defaults)
	maps.Copy(config, s.Properties)
	env := &analyze.Env{Catalog: c.catalog, Functions: c.functions, Config: config}
	switch n := s.Node.(type) {
	case *ast.CreateSource:
		made, err := analyze.CreateSource(env, n, id)
		if err != nil {
			return err
		}
		if made.Source != nil {
			c.catalog.Put(made.Source)
		}
	case *ast.CreateAs:
		made, err := analyze.CreateAs(env, n, id)
		if err != nil {
			if err = partitionsAside(err); err == nil {
				c.failed[s.Name] = true // its columns aren't known, so neither are its readers' mistakes
			}
			return err
		}
		if made.Source != nil {
			c.catalog.Put(made.Source)
		}
	case *ast.InsertInto:
		_, err := analyze.InsertInto(env, n, id)
		return partitionsAside(err)
	case *ast.CreateType:
		t, _, err := analyze.CreateType(env, n)
		if err != nil {
			return err
		}
		c.catalog.PutType(n.Name.Name, t)
	}
	return nil
}

// partitionsAside drops mistakes about the number of partitions, which only the
// broker knows.
func partitionsAside(err error) error {
	if err == nil {
		return nil
	}
	left := slices.DeleteFunc(diagnostic.All(err), func(e *diagnostic.Error) bool {
		return strings.Contains(e.Message, "number of partitions don't match")
	})
	if len(left) == 0 {
		return nil
	}
	return left
}
