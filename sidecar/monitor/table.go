package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/sidestream/sidestream/sidecar/client"
)

// table is one table's question.
type table struct {
	name   string
	cfg    *Config
	memory *memory

	key string // the key column, when it is known
	// stream: it is one, and keeps no rows.
	stream bool
	// empty is since when it has answered without any row; zero: it has rows.
	empty time.Time
}

// ask is nil when the table answers as it should.
func (t *table) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.Patience)
	defer cancel()
	err := t.answers(ctx)
	if err != nil {
		return fmt.Errorf("table %s: %w", t.name, err)
	}
	return nil
}

func (t *table) answers(ctx context.Context) error {
	if err := t.describe(ctx); err != nil || t.stream {
		return err
	}
	known, remembered := t.memory.get(t.name)
	if remembered {
		found, err := t.first(ctx, "WHERE "+t.key+" = ?", known)
		if err != nil {
			t.empty = time.Time{}
			return err
		}
		if found != nil {
			t.empty = time.Time{}
			return nil
		}
	}
	found, err := t.first(ctx, "LIMIT 1")
	if err != nil {
		t.empty = time.Time{}
		return err
	}
	if found != nil {
		t.empty = time.Time{}
		return t.memory.set(t.name, found)
	}
	return t.withoutRows(remembered)
}

// withoutRows decides about a table that answers, but with nothing: while a
// server starts, that is a lie for a moment.
func (t *table) withoutRows(had bool) error {
	now := t.cfg.now()
	if t.empty.IsZero() {
		t.empty = now
	}
	patience, why := t.cfg.Settle, "it has no row"
	if had {
		patience, why = t.cfg.Forget, "it had rows and gives none"
	}
	if since := now.Sub(t.empty); since < patience {
		return fmt.Errorf("%s (for %v; after %v it counts as empty)", why, since.Round(time.Second), patience)
	}
	return nil
}

// describe finds the key column.
func (t *table) describe(ctx context.Context) error {
	if t.key != "" || t.stream {
		return nil
	}
	answer, err := t.cfg.Server.Exec(ctx, "DESCRIBE "+t.name+";")
	if err != nil {
		return err
	}
	for _, e := range answer {
		d := e.SourceDescription
		if d == nil {
			continue
		}
		if strings.EqualFold(d.Type, "STREAM") {
			t.stream = true
			return nil
		}
		for _, f := range d.Fields {
			if f.Type == "KEY" {
				t.key = client.Name(f.Name)
				return nil
			}
		}
	}
	return errors.New("the server describes no key of it")
}

// first is the key of the first row, or nil.
func (t *table) first(ctx context.Context, rest string, args ...any) (any, error) {
	result, err := t.cfg.Server.Pull(ctx, "SELECT "+t.key+" FROM "+t.name+" "+rest+";", args...)
	if err != nil || len(result.Rows) == 0 {
		return nil, err
	}
	var key any
	for _, c := range result.Columns[:1] {
		key, _ = result.Rows[0].Get(c.Name)
	}
	if key == nil {
		return nil, errors.New("the server answered with a row without its key")
	}
	return key, nil
}

// memory is the keys that tables have given, over restarts.
type memory struct {
	path string // "" for none

	mu   sync.Mutex
	keys map[string]any
}

func openMemory(dir string) (*memory, error) {
	m := &memory{keys: map[string]any{}}
	if dir == "" {
		return m, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	m.path = filepath.Join(dir, "keys.json")
	raw, err := os.ReadFile(m.path)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if d.Decode(&m.keys) != nil { // cut off by a kill: it is learnt again
		m.keys = map[string]any{}
	}
	return m, nil
}

func (m *memory) get(table string) (any, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, ok := m.keys[table]
	return key, ok
}

func (m *memory) set(table string, key any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys[table] = key
	if m.path == "" {
		return nil
	}
	raw, err := json.Marshal(m.keys)
	if err != nil {
		return err
	}
	return os.WriteFile(m.path, raw, 0o644)
}
