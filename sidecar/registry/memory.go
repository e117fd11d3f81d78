package registry

import (
	"fmt"
	"slices"
	"sort"
	"sync"
)

// Memory is a registry that keeps its schemas in memory. It is safe for use by
// several goroutines.
type Memory struct {
	mu       sync.Mutex
	schemas  []Schema         // by id - 1
	subjects map[string][]int // ids by version - 1
}

// NewMemory makes an empty registry.
func NewMemory() *Memory { return &Memory{subjects: map[string][]int{}} }

// Register gives the id of a schema without references, see RegisterSchema.
func (m *Memory) Register(subject, schemaType, text string) (int, error) {
	return m.RegisterSchema(subject, Schema{Type: schemaType, Text: text})
}

// RegisterSchema gives the id of the schema under the subject, and makes a new
// version of the subject when it is new there. The same schema has the same id in
// every subject. The error is an *Error when the schema's type or one of its
// references isn't known.
func (m *Memory) RegisterSchema(subject string, s Schema) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Type = typeOf(s.Type)
	if s.Type != Avro && s.Type != Protobuf && s.Type != JSON {
		return 0, &Error{CodeBadSchema, fmt.Sprintf("Invalid schema type %s: it must be AVRO, PROTOBUF or JSON", s.Type)}
	}
	if s.Text == "" {
		return 0, &Error{CodeBadSchema, "Invalid schema: it is empty"}
	}
	if _, err := m.references(s); err != nil {
		return 0, err
	}
	id := m.find(s)
	if id == 0 {
		m.schemas = append(m.schemas, s)
		id = len(m.schemas)
	}
	if !slices.Contains(m.subjects[subject], id) {
		m.subjects[subject] = append(m.subjects[subject], id)
	}
	return id, nil
}

func (m *Memory) find(s Schema) int {
	for i, old := range m.schemas {
		if old.Type == s.Type && old.Text == s.Text && slices.Equal(old.References, s.References) {
			return i + 1
		}
	}
	return 0
}

// references gives the texts of the schemas that s refers to, and of those that
// these refer to, by name.
func (m *Memory) references(s Schema) (map[string]string, error) {
	var out map[string]string
	for todo := s.References; len(todo) > 0; todo = todo[1:] {
		r := todo[0]
		v, err := m.version(r.Subject, r.Version)
		if err != nil {
			return nil, &Error{CodeBadSchema, fmt.Sprintf("Invalid schema: its reference %s: %v", r.Name, err)}
		}
		if out == nil {
			out = map[string]string{}
		}
		if _, seen := out[r.Name]; !seen {
			out[r.Name] = v.Text
			todo = append(todo[:len(todo):len(todo)], v.References...)
		}
	}
	return out, nil
}

// version is a version of a subject, the newest for -1.
func (m *Memory) version(subject string, version int) (Version, error) {
	ids := m.subjects[subject]
	if len(ids) == 0 {
		return Version{}, &Error{CodeNoSubject, fmt.Sprintf("Subject '%s' not found.", subject)}
	}
	if version == -1 {
		version = len(ids)
	}
	if version < 1 || version > len(ids) {
		return Version{}, &Error{CodeNoVersion, fmt.Sprintf("Version %d not found.", version)}
	}
	id := ids[version-1]
	return Version{Subject: subject, ID: id, Version: version, Schema: m.schemas[id-1]}, nil
}

// Version is a version of a subject, the newest for -1.
func (m *Memory) Version(subject string, version int) (Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version(subject, version)
}

// ByID gives a schema by its id, with the texts of its references by name.
func (m *Memory) ByID(id int) (schemaType, text string, references map[string]string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.schema(id)
	if err != nil {
		return "", "", nil, err
	}
	references, err = m.references(s)
	return s.Type, s.Text, references, err
}

func (m *Memory) schema(id int) (Schema, error) {
	if id < 1 || id > len(m.schemas) {
		return Schema{}, &Error{CodeNoSchema, fmt.Sprintf("Schema %d not found", id)}
	}
	return m.schemas[id-1], nil
}

// Latest gives the newest schema of a subject; id is 0 when there is none.
func (m *Memory) Latest(subject string) (id int, schemaType, text string, references map[string]string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.version(subject, -1)
	if err != nil {
		return 0, "", "", nil, nil // there is none
	}
	references, err = m.references(v.Schema)
	return v.ID, v.Type, v.Text, references, err
}

// Subjects are the names of all subjects, sorted.
func (m *Memory) Subjects() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []string{}
	for s := range m.subjects {
		out = append(out, s)
	}
	sort.Strings(out)
	return out
}
