package enginetest

import "fmt"

// registry is a Schema Registry in memory.
type registry struct {
	schemas  []registered // by id - 1
	subjects map[string]int
}

type registered struct{ kind, text string }

func newRegistry() *registry { return &registry{subjects: map[string]int{}} }

// Register gives a schema an id, the same to the same schema.
func (r *registry) Register(subject, kind, text string) (int, error) {
	for i, s := range r.schemas {
		if s == (registered{kind, text}) {
			r.subjects[subject] = i + 1
			return i + 1, nil
		}
	}
	r.schemas = append(r.schemas, registered{kind, text})
	r.subjects[subject] = len(r.schemas)
	return len(r.schemas), nil
}

// ByID gives the schema of an id.
func (r *registry) ByID(id int) (kind, text string, references map[string]string, err error) {
	if id < 1 || id > len(r.schemas) {
		return "", "", nil, fmt.Errorf("no schema has the id %d", id)
	}
	s := r.schemas[id-1]
	return s.kind, s.text, nil, nil
}

// Latest gives the schema last registered under a subject.
func (r *registry) Latest(subject string) (id int, kind, text string, references map[string]string, err error) {
	if id = r.subjects[subject]; id == 0 {
		return 0, "", "", nil, nil
	}
	kind, text, references, err = r.ByID(id)
	return id, kind, text, references, err
}
