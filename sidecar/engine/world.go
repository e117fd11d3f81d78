package engine

import (
	"slices"
	"sort"
	"sync"

	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/runtime"
)

// world is what statements change: the catalogue and the persistent queries. A
// sandbox is a copy whose queries don't run.
type world struct {
	mu      sync.RWMutex
	catalog *catalog.Catalog
	queries map[string]*query // by id
	// derived are the sources that each CREATE … AS read: what keeps them from
	// being dropped, also when its query was terminated.
	derived map[string][]string
	next    int64 // number of the next query in a sandbox
}

// query is a persistent query.
type query struct {
	id     string
	text   string
	plan   *plan.Query
	reads  []string
	sink   string // name of the source it writes; "" for CREATE SOURCE TABLE
	topic  string // of the sink
	insert bool   // INSERT INTO … SELECT
	config map[string]string
	set    map[string]string // what the statement's request set, of config

	mu     sync.RWMutex
	paused bool
	run    *runtime.Query // nil in a sandbox and before it is started
}

func (q *query) runner() *runtime.Query {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.run
}

func newWorld() *world {
	return &world{catalog: catalog.New(), queries: map[string]*query{}, derived: map[string][]string{}}
}

// sandbox is a copy in which statements are tried.
func (w *world) sandbox(next int64) *world {
	w.mu.RLock()
	defer w.mu.RUnlock()
	out := &world{catalog: w.catalog.Copy(), queries: make(map[string]*query, len(w.queries)), derived: make(map[string][]string, len(w.derived)), next: next}
	for id, q := range w.queries {
		out.queries[id] = q
	}
	for name, reads := range w.derived {
		out.derived[name] = reads
	}
	return out
}

// apply makes a change known. What must happen on Kafka is carryOut's.
func (w *world) apply(c *change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range c.stop {
		delete(w.queries, id)
	}
	if c.drop != "" {
		w.catalog.Drop(c.drop)
		delete(w.derived, c.drop)
	}
	if c.put != nil {
		w.catalog.Put(c.put)
		if c.derives != nil {
			w.derived[c.put.Name] = c.derives
		}
	}
	if c.query != nil {
		w.queries[c.query.id] = c.query
	}
	if c.putType != nil {
		w.catalog.PutType(c.putType.name, c.putType.typ)
	}
	if c.dropType != "" {
		w.catalog.DropType(c.dropType)
	}
	w.next += 2
	for _, id := range c.pause {
		if q := w.queries[id]; q != nil && !c.dryRun {
			q.mu.Lock()
			q.paused = c.paused
			q.mu.Unlock()
		}
	}
}

func (w *world) query(id string) (*query, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	q, ok := w.queries[id]
	return q, ok
}

// allQueries lists the queries by id.
func (w *world) allQueries() []*query {
	w.mu.RLock()
	defer w.mu.RUnlock()
	out := make([]*query, 0, len(w.queries))
	for _, q := range w.queries {
		out = append(out, q)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].id < out[j].id })
	return out
}

// derivedFrom lists the sources whose CREATE … AS reads name, sorted.
func (w *world) derivedFrom(name string) []string {
	w.mu.RLock()
	defer w.mu.RUnlock()
	var out []string
	for d, reads := range w.derived {
		if slices.Contains(reads, name) {
			out = append(out, d)
		}
	}
	sort.Strings(out)
	return out
}

// readers and writers of a source, by query id.
func (w *world) readers(name string) (out []*query) {
	for _, q := range w.allQueries() {
		if slices.Contains(q.reads, name) {
			out = append(out, q)
		}
	}
	return out
}

func (w *world) writers(name string) (out []*query) {
	for _, q := range w.allQueries() {
		if q.sink == name {
			out = append(out, q)
		}
	}
	return out
}
