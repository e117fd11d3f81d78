package enginetest

import (
	"fmt"
	"slices"
	"sync"
)

// registry is a Schema Registry in memory whose ids can be chosen. It may be used
// from many goroutines.
type registry struct {
	mu       sync.Mutex
	schemas  map[int]registered
	subjects map[string]int
	next     int
	// references of the schemas that have some: texts by name.
	references map[int]map[string]string
}

type registered struct{ kind, text string }

func newRegistry() *registry {
	return &registry{schemas: map[int]registered{}, subjects: map[string]int{}, references: map[int]map[string]string{}}
}

// add registers a case's schema.
func (r *registry) add(s subject) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := s.id
	if id != 0 {
		r.put(s.name, s.kind, s.text, id)
	} else {
		var err error
		if id, err = r.register(s.name, s.kind, s.text); err != nil {
			return err
		}
	}
	for _, ref := range s.references {
		if r.references[id] == nil {
			r.references[id] = map[string]string{}
		}
		r.references[id][ref.Name] = ref.Schema
	}
	return nil
}

// put registers a schema under an id that is given.
func (r *registry) put(subject, kind, text string, id int) {
	r.schemas[id] = registered{kind, text}
	r.subjects[subject] = id
}

// Register gives a schema an id, the same to the same schema.
func (r *registry) Register(subject, kind, text string) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.register(subject, kind, text)
}

func (r *registry) register(subject, kind, text string) (int, error) {
	want := registered{kind, text}
	if id := r.subjects[subject]; id != 0 && r.schemas[id] == want {
		return id, nil
	}
	ids := make([]int, 0, len(r.schemas))
	for id := range r.schemas {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if r.schemas[id] == want {
			r.subjects[subject] = id
			return id, nil
		}
	}
	for r.next++; r.schemas[r.next] != (registered{}); r.next++ {
	}
	r.put(subject, kind, text, r.next)
	return r.next, nil
}

// ByID gives the schema of an id.
func (r *registry) ByID(id int) (kind, text string, references map[string]string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID(id)
}

func (r *registry) byID(id int) (kind, text string, references map[string]string, err error) {
	s, ok := r.schemas[id]
	if !ok {
		return "", "", nil, fmt.Errorf("no schema has the id %d", id)
	}
	return s.kind, s.text, r.references[id], nil
}

// Latest gives the schema last registered under a subject.
func (r *registry) Latest(subject string) (id int, kind, text string, references map[string]string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id = r.subjects[subject]; id == 0 {
		return 0, "", "", nil, nil
	}
	kind, text, references, err = r.byID(id)
	return id, kind, text, references, err
}
