package registry

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// The registry's file is a log of changes, a line each, in which the last one of
// a key counts: {"key":{"kind":"version","subject":"t-value","number":1},"value":{…}}.
// It is written anew, without what no longer counts, whenever it is opened.

// FileName is the name of the registry's file in its directory.
const FileName = "schemas.jsonl"

// The kinds of keys.
const (
	kindSchema  = "schema"
	kindVersion = "version"
	kindLevel   = "level"
	kindMode    = "mode"
)

// key names what a change is of. It is comparable.
type key struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject,omitempty"`
	Number  int    `json:"number,omitempty"`
}

func schemaKey(id int) key                      { return key{Kind: kindSchema, Number: id} }
func versionKey(subject string, number int) key { return key{kindVersion, subject, number} }
func levelKey(subject string) key               { return key{Kind: kindLevel, Subject: subject} }
func modeKey(subject string) key                { return key{Kind: kindMode, Subject: subject} }

type change struct {
	Key   key             `json:"key"`
	Value json.RawMessage `json:"value"`
}

type journal struct{ file *os.File }

// append writes a change to the disk.
func (j *journal) append(k key, value any) error {
	line, err := changeLine(k, value)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(line); err != nil {
		return err
	}
	return j.file.Sync()
}

func changeLine(k key, value any) ([]byte, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(change{k, raw})
	return append(line, '\n'), err
}

// Open opens the registry that a directory keeps, which is made when it isn't
// there. One process at a time may have it open. The error tells what is wrong
// with the directory or with the file in it, and where.
func Open(dir string) (*Embedded, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, FileName)
	m := New()
	if err := m.load(path); err != nil {
		return nil, fmt.Errorf("the Schema Registry's file %s: %w", path, err)
	}
	if err := m.rewrite(path); err != nil {
		return nil, fmt.Errorf("the Schema Registry's file %s: %w", path, err)
	}
	return m, nil
}

// Close closes the file of an opened registry.
func (m *Embedded) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.journal == nil {
		return nil
	}
	err := m.journal.file.Close()
	m.journal = &journal{} // what comes now fails
	return err
}

// load reads the file, if there is one. A last line without an end is one that a
// killed process was about to write: its client had no answer.
func (m *Embedded) load(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var c change
		if err := json.Unmarshal(line, &c); err != nil {
			return fmt.Errorf("line %d is no change of a registry: %w", n, err)
		}
		if err := m.take(c); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

// take applies a change that was read.
func (m *Embedded) take(c change) error {
	if bytes.Equal(c.Value, []byte("null")) {
		m.apply(c.Key, nil)
		return nil
	}
	var err error
	switch c.Key.Kind {
	case kindSchema:
		var s Schema
		err = json.Unmarshal(c.Value, &s)
		m.apply(c.Key, s)
	case kindVersion:
		var p placed
		if err = json.Unmarshal(c.Value, &p); err == nil && m.schemas[p.ID] == nil {
			return fmt.Errorf("version %d of subject %s has the schema %d, which is not there", p.Number, c.Key.Subject, p.ID)
		}
		m.apply(c.Key, p)
	case kindLevel, kindMode:
		var text string
		err = json.Unmarshal(c.Value, &text)
		m.apply(c.Key, text)
	default:
		return fmt.Errorf("%q is no kind of change", c.Key.Kind)
	}
	return err
}

// rewrite writes what counts into a new file, which takes the place of the old one.
func (m *Embedded) rewrite(path string) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	put := func(k key, value any) {
		line, e := changeLine(k, value)
		if e == nil {
			_, e = w.Write(line)
		}
		err = errors.Join(err, e)
	}
	var ids []int
	for id := range m.schemas {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		put(schemaKey(id), m.schemas[id].Schema)
	}
	if m.lastID > 0 && m.schemas[m.lastID] == nil {
		put(schemaKey(m.lastID), nil)
	}
	for _, subject := range m.names("", true, false) {
		for _, v := range m.subjects[subject] {
			put(versionKey(subject, v.Number), v)
		}
	}
	for subject, level := range m.levels {
		put(levelKey(subject), level)
	}
	for subject, mode := range m.modes {
		put(modeKey(subject), mode)
	}
	err = errors.Join(err, w.Flush(), f.Sync())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		f.Close()
		return err
	}
	m.journal = &journal{f}
	return nil
}
