package registry

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
)

// Embedded is a registry that keeps its schemas by itself: in memory ([New]) or
// in a directory too ([Open]). It is safe for use by several goroutines.
type Embedded struct {
	mu       sync.Mutex
	schemas  map[int]*stored
	byText   map[string]int // ids by the schema's identity
	lastID   int
	subjects map[string][]placed // in the order of versions
	levels   map[string]string   // of compatibility, by subject; "" for all
	modes    map[string]string   // likewise
	journal  *journal            // nil in memory
}

// stored is a schema by its id.
type stored struct {
	Schema
	identity string
}

// placed is a version of a subject. A deleted one keeps its number, and can be
// asked for, until it is deleted for good.
type placed struct {
	Number  int  `json:"version"`
	ID      int  `json:"id"`
	Deleted bool `json:"deleted,omitempty"`
}

// New makes an empty registry in memory.
func New() *Embedded {
	return &Embedded{schemas: map[int]*stored{}, byText: map[string]int{}, subjects: map[string][]placed{},
		levels: map[string]string{"": Backward}, modes: map[string]string{"": ReadWrite}}
}

// Register gives the id of a schema without references, see RegisterSchema.
func (m *Embedded) Register(subject, schemaType, text string) (int, error) {
	return m.RegisterSchema(subject, Schema{Type: schemaType, Text: text})
}

// RegisterSchema gives the id of the schema under the subject, and makes a new
// version of the subject when it is new there. The same schema has the same id in
// every subject. The error is an *Error when the schema can't be read, one of its
// references isn't known, or readers of the subject's schemas couldn't live with it.
func (m *Embedded) RegisterSchema(subject string, s Schema) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.register(subject, s, 0, 0)
}

// register registers; id and version are those wanted, or 0.
func (m *Embedded) register(subject string, s Schema, id, version int) (int, error) {
	if err := m.writable(subject, id > 0); err != nil {
		return 0, err
	}
	p, err := m.parse(s)
	if err != nil {
		return 0, err
	}
	for _, v := range m.subjects[subject] {
		if !v.Deleted && m.schemas[v.ID].identity == p.identity && (id == 0 || id == v.ID) {
			return v.ID, nil
		}
	}
	if id == 0 { // who imports knows what is compatible
		if problems := m.check(subject, p, m.level(subject)); len(problems) > 0 {
			return 0, refuse(CodeIncompatible, "Schema being registered is incompatible with an earlier schema for subject %q, details: [%s]", subject, strings.Join(problems, ", "))
		}
	}
	known := m.byText[p.identity]
	switch {
	case id == 0 && known != 0:
		id = known
	case id == 0:
		id = m.lastID + 1
	case m.schemas[id] != nil && m.schemas[id].identity != p.identity:
		return 0, refuse(CodeOtherID, "Overwrite new schema with id %d is not permitted.", id)
	}
	if version == 0 {
		version = 1
		if all := m.subjects[subject]; len(all) > 0 {
			version = all[len(all)-1].Number + 1
		}
	}
	if m.schemas[id] == nil {
		if err := m.put(schemaKey(id), p.Schema); err != nil {
			return 0, err
		}
	}
	return id, m.put(versionKey(subject, version), placed{Number: version, ID: id})
}

// live are the versions of a subject that aren't deleted, or all.
func (m *Embedded) live(subject string, deleted bool) []placed {
	if deleted {
		return m.subjects[subject]
	}
	var out []placed
	for _, v := range m.subjects[subject] {
		if !v.Deleted {
			out = append(out, v)
		}
	}
	return out
}

// version is a version of a subject; deleted ones count when deleted is true.
func (m *Embedded) version(subject string, number int, deleted bool) (Version, error) {
	all := m.live(subject, deleted)
	if len(all) == 0 {
		return Version{}, refuse(CodeNoSubject, "Subject '%s' not found.", subject)
	}
	for _, v := range all {
		if v.Number == number || number == latest && v.Number == all[len(all)-1].Number {
			return Version{Subject: subject, ID: v.ID, Version: v.Number, Schema: m.schemas[v.ID].Schema}, nil
		}
	}
	return Version{}, refuse(CodeNoVersion, "Version %d not found.", number)
}

// Version is a version of a subject, the newest for -1.
func (m *Embedded) Version(subject string, number int) (Version, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.version(subject, number, false)
}

// references gives the texts of the schemas that s refers to, and of those that
// these refer to, by name.
func (m *Embedded) references(s Schema) (map[string]string, error) {
	var out map[string]string
	for todo := s.References; len(todo) > 0; todo = todo[1:] {
		r := todo[0]
		v, err := m.version(r.Subject, r.Version, true)
		if err != nil {
			return nil, refuse(CodeBadSchema, "Invalid schema: its reference %s (version %d of subject %s) is not here: %v", r.Name, r.Version, r.Subject, err)
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

// ByID gives a schema by its id, with the texts of its references by name.
func (m *Embedded) ByID(id int) (schemaType, text string, references map[string]string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.schema(id)
	if err != nil {
		return "", "", nil, err
	}
	references, err = m.references(s)
	return s.Type, s.Text, references, err
}

func (m *Embedded) schema(id int) (Schema, error) {
	if s := m.schemas[id]; s != nil {
		return s.Schema, nil
	}
	return Schema{}, refuse(CodeNoSchema, "Schema %d not found", id)
}

// Latest gives the newest schema of a subject; id is 0 when there is none.
func (m *Embedded) Latest(subject string) (id int, schemaType, text string, references map[string]string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.version(subject, latest, false)
	if err != nil {
		return 0, "", "", nil, nil // there is none
	}
	references, err = m.references(v.Schema)
	return v.ID, v.Type, v.Text, references, err
}

// Subjects are the names of all subjects, sorted.
func (m *Embedded) Subjects() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.names("", false, false)
}

// names are the subjects that begin with prefix: those with versions, with
// deleted ones too, or with deleted ones only.
func (m *Embedded) names(prefix string, deleted, only bool) []string {
	out := []string{}
	for s := range m.subjects {
		live := len(m.live(s, false)) > 0
		if strings.HasPrefix(s, prefix) && (live && !only || !live && (deleted || only)) {
			out = append(out, s)
		}
	}
	sort.Strings(out)
	return out
}

// Delete deletes a subject, as its topic goes: its versions aren't found any more,
// but records that name their ids can still be read. It gives the versions that
// were deleted: none of a subject that isn't there.
func (m *Embedded) Delete(subject string) ([]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.live(subject, false)) == 0 {
		return nil, nil
	}
	return m.deleteSubject(subject, false)
}

func (m *Embedded) deleteSubject(subject string, permanent bool) ([]int, error) {
	if err := m.writable(subject, false); err != nil {
		return nil, err
	}
	all, live := slices.Clone(m.subjects[subject]), m.live(subject, false)
	switch {
	case len(all) == 0:
		return nil, refuse(CodeNoSubject, "Subject '%s' not found.", subject)
	case permanent && len(live) > 0:
		return nil, refuse(CodeSubjectNotDeleted, "Subject '%s' was not deleted first before being permanently deleted", subject)
	case !permanent && len(live) == 0:
		return nil, refuse(CodeSubjectDeleted, "Subject '%s' was soft deleted. Set permanent=true to delete permanently", subject)
	}
	if !permanent {
		all = live
	}
	for _, v := range all {
		if err := m.unreferenced(subject, v.Number); err != nil {
			return nil, err
		}
	}
	out := []int{}
	for _, v := range all {
		out = append(out, v.Number)
		if err := m.drop(subject, v, permanent); err != nil {
			return nil, err
		}
	}
	if permanent {
		for _, key := range []key{levelKey(subject), modeKey(subject)} {
			if err := m.put(key, nil); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (m *Embedded) deleteVersion(subject string, number int, permanent bool) (int, error) {
	if err := m.writable(subject, false); err != nil {
		return 0, err
	}
	v, err := m.version(subject, number, permanent)
	if err != nil {
		if old, e := m.version(subject, number, true); e == nil {
			return 0, refuse(CodeVersionDeleted, "Subject '%s' Version %d was soft deleted. Set permanent=true to delete permanently", subject, old.Version)
		}
		return 0, err
	}
	at := slices.IndexFunc(m.subjects[subject], func(p placed) bool { return p.Number == v.Version })
	if permanent && !m.subjects[subject][at].Deleted {
		return 0, refuse(CodeVersionNotDeleted, "Subject '%s' Version %d was not deleted first before being permanently deleted", subject, v.Version)
	}
	if err := m.unreferenced(subject, v.Version); err != nil {
		return 0, err
	}
	return v.Version, m.drop(subject, m.subjects[subject][at], permanent)
}

// drop deletes a version, and what nobody has any more.
func (m *Embedded) drop(subject string, v placed, permanent bool) error {
	if !permanent {
		v.Deleted = true
		return m.put(versionKey(subject, v.Number), v)
	}
	if err := m.put(versionKey(subject, v.Number), nil); err != nil {
		return err
	}
	for _, all := range m.subjects {
		if slices.ContainsFunc(all, func(p placed) bool { return p.ID == v.ID }) {
			return nil
		}
	}
	return m.put(schemaKey(v.ID), nil)
}

// referencedBy are the ids of the schemas that refer to a version.
func (m *Embedded) referencedBy(subject string, number int) []int {
	out := []int{}
	for id, s := range m.schemas {
		used := slices.ContainsFunc(s.References, func(r Reference) bool { return r.Subject == subject && r.Version == number })
		if used && len(m.uses(id, false)) > 0 {
			out = append(out, id)
		}
	}
	sort.Ints(out)
	return out
}

func (m *Embedded) unreferenced(subject string, number int) error {
	if len(m.referencedBy(subject, number)) > 0 {
		return refuse(CodeReferenced, "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=%s,version=%d}.", subject, number)
	}
	return nil
}

// use is a place of a schema.
type use struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
}

// uses are the places of a schema.
func (m *Embedded) uses(id int, deleted bool) []use {
	out := []use{}
	for subject := range m.subjects {
		for _, v := range m.live(subject, deleted) {
			if v.ID == id {
				out = append(out, use{subject, v.Number})
			}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Subject < out[j].Subject || out[i].Subject == out[j].Subject && out[i].Version < out[j].Version
	})
	return out
}

// lookUp finds a schema in a subject.
func (m *Embedded) lookUp(subject string, s Schema, deleted bool) (Version, error) {
	if len(m.live(subject, deleted)) == 0 {
		return Version{}, refuse(CodeNoSubject, "Subject '%s' not found.", subject)
	}
	p, err := m.parse(s)
	if err != nil {
		return Version{}, err
	}
	all := m.live(subject, deleted)
	for i := len(all) - 1; i >= 0; i-- {
		if m.schemas[all[i].ID].identity == p.identity {
			return m.version(subject, all[i].Number, deleted)
		}
	}
	return Version{}, refuse(CodeNoSchema, "Schema not found")
}

// put changes the registry: first on disk, if it is there.
func (m *Embedded) put(k key, value any) error {
	if m.journal != nil {
		if err := m.journal.append(k, value); err != nil {
			return refuse(codeStore, "Error in the backend data store: %v", err)
		}
	}
	m.apply(k, value)
	return nil
}

// apply takes a change over; value nil deletes.
func (m *Embedded) apply(k key, value any) {
	switch k.Kind {
	case kindSchema:
		m.lastID = max(m.lastID, k.Number) // an id is never given twice
		if value == nil {
			if s := m.schemas[k.Number]; s != nil && m.byText[s.identity] == k.Number {
				delete(m.byText, s.identity)
			}
			delete(m.schemas, k.Number)
			return
		}
		s := value.(Schema)
		m.schemas[k.Number] = &stored{s, identity(s)}
		m.byText[identity(s)] = k.Number
	case kindVersion:
		all := m.subjects[k.Subject]
		at, found := slices.BinarySearchFunc(all, k.Number, func(p placed, n int) int { return p.Number - n })
		switch {
		case value == nil && found:
			all = slices.Delete(all, at, at+1)
		case value != nil && found:
			all[at] = value.(placed)
		case value != nil:
			all = slices.Insert(all, at, value.(placed))
		}
		if m.subjects[k.Subject] = all; len(all) == 0 {
			delete(m.subjects, k.Subject)
		}
	case kindLevel:
		setOrDelete(m.levels, k.Subject, value, Backward)
	case kindMode:
		setOrDelete(m.modes, k.Subject, value, ReadWrite)
	}
}

// setOrDelete sets a subject's setting; that of all goes back to its default.
func setOrDelete(settings map[string]string, subject string, value any, otherwise string) {
	switch text, ok := value.(string); {
	case ok:
		settings[subject] = text
	case subject == "":
		settings[""] = otherwise
	default:
		delete(settings, subject)
	}
}

// identity is what tells schemas apart.
func identity(s Schema) string {
	return fmt.Sprintf("%s\x00%s\x00%v", s.Type, plain(s), s.References)
}
