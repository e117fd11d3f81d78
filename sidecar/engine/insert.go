package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

type kadmOffset = kadm.OffsetResponse

// partitioner puts a key where Java's clients and the engine's queries put it.
func partitioner() kgo.Partitioner { return kgo.StickyKeyPartitioner(nil) }

// encoder writes the records of one source.
type encoder struct {
	key, value serde.Encoder
	valueCols  []schema.Column // without header columns
}

// insertCache keeps the encoders of sources.
type insertCache struct {
	mu   sync.Mutex
	made map[*catalog.Source]*encoder
}

func (e *Engine) encoder(src *catalog.Source) (*encoder, error) {
	e.inserts.mu.Lock()
	defer e.inserts.mu.Unlock()
	if enc, ok := e.inserts.made[src]; ok {
		return enc, nil
	}
	enc := &encoder{}
	for _, c := range src.Schema.Value {
		if !c.Headers {
			enc.valueCols = append(enc.valueCols, c)
		}
	}
	var err error
	enc.key, err = serde.NewEncoder(src.KeyFormat, src.Schema.Key, serde.Options{IsKey: true, Subject: src.Topic + "-key", Registry: e.cfg.Schemas})
	if err != nil {
		return nil, err
	}
	enc.value, err = serde.NewEncoder(src.ValueFormat, enc.valueCols, serde.Options{Subject: src.Topic + "-value", Registry: e.cfg.Schemas})
	if err != nil {
		return nil, err
	}
	if e.inserts.made == nil || len(e.inserts.made) > 256 {
		e.inserts.made = map[*catalog.Source]*encoder{}
	}
	e.inserts.made[src] = enc
	return enc, nil
}

// record makes the record of a row.
func (e *Engine) record(in *analyze.Insert) (*kgo.Record, error) {
	enc, err := e.encoder(in.Source)
	if err != nil {
		return nil, err
	}
	r := &kgo.Record{Topic: in.Source.Topic}
	e.inserts.mu.Lock() // encoders keep buffers
	defer e.inserts.mu.Unlock()
	if in.Key != nil && len(in.Source.Schema.Key) > 0 {
		if r.Key, err = enc.key.Encode(nil, in.Key); err != nil {
			return nil, fmt.Errorf("Could not serialize key: %w", err)
		}
	}
	if r.Value, err = enc.value.Encode(nil, in.Value); err != nil {
		return nil, fmt.Errorf("Could not serialize value: %w", err)
	}
	r.Timestamp = time.Now()
	if in.Time >= 0 {
		r.Timestamp = time.UnixMilli(in.Time)
	}
	return r, nil
}

// insertValues carries out INSERT INTO … VALUES.
func (e *Engine) insertValues(ctx context.Context, s *session, st *ast.InsertValues) error {
	env := s.env()
	in, err := analyze.InsertValues(&env, st)
	if err != nil {
		return err
	}
	r, err := e.record(in)
	if err != nil {
		return about(CodeServerError, st.Text, "Failed to insert values into '%s'. %v", in.Source.Name, err)
	}
	if s.dryRun {
		return nil
	}
	if err := e.kafka.ProduceSync(ctx, r).FirstErr(); err != nil {
		return about(CodeServerError, st.Text, "Failed to insert values into '%s'. %v", in.Source.Name, err)
	}
	return nil
}

// Inserter takes the rows of an inserts stream.
type Inserter struct {
	e   *Engine
	src *catalog.Source
}

// Inserter opens an inserts stream into a source. Errors are of type *Error.
func (e *Engine) Inserter(target string, properties map[string]any) (*Inserter, error) {
	if _, err := overrides(properties); err != nil {
		return nil, err
	}
	name := identifier(target)
	src, ok := e.world.catalog.Source(name)
	if !ok {
		return nil, newError(CodeBadStatement, "Cannot insert values into an unknown stream/table: %s", schema.Quote(name))
	}
	if src.ReadOnly {
		return nil, newError(CodeBadStatement, "Cannot insert values into read-only %s: %s", kindOf(src.Table), name)
	}
	if src.WindowText != "" {
		return nil, newError(CodeBadStatement, "Cannot insert values into windowed stream/table")
	}
	if _, err := e.encoder(src); err != nil {
		return nil, newError(CodeBadStatement, "%v", err)
	}
	return &Inserter{e, src}, nil
}

// identifier folds a name as the parser does.
func identifier(name string) string {
	if n := len(name); n >= 2 && (name[0] == '`' || name[0] == '"') && name[n-1] == name[0] {
		return name[1 : n-1]
	}
	return upper(name)
}

// InsertRow is a row on its way to a source.
type InsertRow struct{ record *kgo.Record }

// ValidRow says why a line can't be a row of any source: it must be a JSON object.
func ValidRow(line []byte) error {
	if v := jsontext.Value(line); !v.IsValid() || v.Kind() != '{' {
		return BadRequest("Invalid JSON in inserts stream")
	}
	return nil
}

// Row makes a row of a JSON object, or says what is wrong with it.
func (in *Inserter) Row(line []byte) (*InsertRow, error) {
	ins, err := rowFromJSON(in.src, line)
	if err != nil {
		return nil, err
	}
	r, err := in.e.record(ins)
	if err != nil {
		return nil, BadRequest("%v", err)
	}
	return &InsertRow{r}, nil
}

// Send sends a row on its way. done is called from another goroutine once the row
// is written, or could not be; it must not wait for anything.
func (in *Inserter) Send(ctx context.Context, row *InsertRow, done func(error)) {
	in.e.kafka.Produce(ctx, row.record, func(_ *kgo.Record, err error) { done(err) })
}

// keyMissing tells whether a row has no key where its source has one.
func keyMissing(src *catalog.Source, key []types.Value) bool {
	for _, v := range key {
		if !v.IsNull() {
			return false
		}
	}
	return len(src.Schema.Key) > 0
}
