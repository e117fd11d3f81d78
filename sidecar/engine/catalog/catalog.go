// Package catalog holds what a server knows: its streams and tables, and the
// types that CREATE TYPE made.
//
// In: sources that package analyze made of CREATE statements. Out: [Catalog],
// found by name. A catalogue is copied ([Catalog.Copy]) to try statements before
// any of them is carried out.
//
// Next: package analyze resolves queries against it.
package catalog

import (
	"sort"
	"sync"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Source is a stream or a table. It doesn't change after it is in a Catalog: a
// replacement takes its place.
type Source struct {
	Name  string // exact: upper-case unless it was quoted
	Table bool
	// ReadOnly: CREATE SOURCE STREAM | TABLE.
	ReadOnly bool
	Schema   schema.Schema // without pseudo columns; header columns are among Value
	Topic    string
	// Partitions that CREATE was asked for or found; Replicas likewise, 0 for the
	// broker's default.
	Partitions  int
	Replicas    int
	KeyFormat   plan.Format
	ValueFormat plan.Format
	// Window of the key; WindowSize in ms for time windows.
	Window     plan.WindowKind
	WindowSize int64
	// WindowText is the kind as DESCRIBE shows it: TUMBLING, HOPPING, SESSION, or "".
	WindowText string
	Timestamp  *plan.Timestamp
	// SQL is the statement that made it.
	SQL string
	// CreatedBy is the id of the CREATE … AS query that writes it, "" for none.
	CreatedBy string
	// Materialized: pull queries by key find rows (CTAS, CREATE SOURCE TABLE).
	Materialized bool
}

// Kind is "STREAM" or "TABLE".
func (s *Source) Kind() string {
	if s.Table {
		return "TABLE"
	}
	return "STREAM"
}

// Catalog is used from any goroutine.
type Catalog struct {
	mu      sync.RWMutex
	sources map[string]*Source
	types   map[string]types.Type
}

// New is an empty catalogue.
func New() *Catalog {
	return &Catalog{sources: map[string]*Source{}, types: map[string]types.Type{}}
}

// Copy is a catalogue of the same content that changes on its own.
func (c *Catalog) Copy() *Catalog {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := New()
	for k, v := range c.sources {
		out.sources[k] = v
	}
	for k, v := range c.types {
		out.types[k] = v
	}
	return out
}

// Source finds a source by its exact name.
func (c *Catalog) Source(name string) (*Source, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s, ok := c.sources[name]
	return s, ok
}

// Put adds a source or replaces the one of its name.
func (c *Catalog) Put(s *Source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sources[s.Name] = s
}

// Drop removes a source.
func (c *Catalog) Drop(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sources, name)
}

// Sources lists all, sorted by name.
func (c *Catalog) Sources() []*Source {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]*Source, 0, len(c.sources))
	for _, s := range c.sources {
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Type finds a type that CREATE TYPE made.
func (c *Catalog) Type(name string) (types.Type, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, ok := c.types[name]
	return t, ok
}

// PutType adds a custom type.
func (c *Catalog) PutType(name string, t types.Type) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.types[name] = t
}

// DropType removes a custom type.
func (c *Catalog) DropType(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.types, name)
}

// Types is a copy of all custom types.
func (c *Catalog) Types() map[string]types.Type {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make(map[string]types.Type, len(c.types))
	for k, v := range c.types {
		out[k] = v
	}
	return out
}
