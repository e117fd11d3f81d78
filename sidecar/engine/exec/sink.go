package exec

import (
	"fmt"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// recordWriter serialises rows and emits them.
type recordWriter struct {
	key, value serde.Encoder
	window     plan.WindowKind
	out        Output
	arena      []byte
	scratch    []byte
	step       string
	strict     bool // stop at the first row that can't be written
	emit       func(out *Output) error
	log        func(Problem)
}

// outside and inside are the registry and the beginning of the subjects of a topic
// that others know too, and of one of the query's own.
func (b *builder) outside(topic string) serde.Options {
	return serde.Options{Subject: topic, Registry: b.env.Schemas}
}

func (b *builder) inside(topic string) serde.Options {
	o := serde.Options{Subject: b.env.Internal + topic, Registry: b.env.InternalSchemas}
	if o.Registry == nil {
		o.Registry = b.env.Schemas
	}
	return o
}

// writer makes the writer of a topic; o is outside or inside of it.
func (b *builder) writer(out *plan.Output, topic string, keyFormat, valueFormat plan.Format, o serde.Options) (*recordWriter, error) {
	w := &recordWriter{
		window: out.Window, out: Output{Topic: topic, Partition: -1}, step: out.Name,
		strict: b.enabled("ksql.fail.on.production.error", true), emit: b.env.Emit, log: b.env.Log,
	}
	var err error
	if len(out.Schema.Key) > 0 {
		w.key, err = serde.NewEncoder(keyFormat, out.Schema.Key, serde.Options{Subject: o.Subject + "-key", IsKey: true, Registry: o.Registry})
		if err != nil {
			return nil, fmt.Errorf("%s: key of %s: %w", out.Name, topic, err)
		}
	}
	w.value, err = serde.NewEncoder(valueFormat, out.Schema.Value, serde.Options{Subject: o.Subject + "-value", Registry: o.Registry})
	if err != nil {
		return nil, fmt.Errorf("%s: value of %s: %w", out.Name, topic, err)
	}
	return w, nil
}

// Records' bytes are cut from blocks of this size: one allocation for hundreds
// of records instead of two for each.
const (
	arenaSize = 64 << 10
	arenaRest = 1 << 10
)

// room makes sure that the block has some room left. A record that needs more
// moves to a block of its own by append's means, which is rare enough.
func (w *recordWriter) room() {
	if cap(w.arena)-len(w.arena) < arenaRest {
		w.arena = make([]byte, 0, arenaSize)
	}
}

// cut ends a piece of the block that starts at from.
func (w *recordWriter) cut(from int) []byte { return w.arena[from:len(w.arena):len(w.arena)] }

func (w *recordWriter) write(r *Row) error {
	w.room()
	key, err := w.encodeKey(r)
	if err != nil {
		return w.fail(r, "key", err)
	}
	value, err := w.encodeValue(r.Value)
	if err != nil {
		return w.fail(r, "value", err)
	}
	return w.send(r, key, value)
}

// writeChange writes a table's change with both its rows.
func (w *recordWriter) writeChange(r *Row) error {
	w.room()
	key, err := w.encodeKey(r)
	if err != nil {
		return w.fail(r, "key", err)
	}
	from := len(w.arena)
	for _, row := range [...][]types.Value{r.Value, r.Old} {
		var part []byte
		if row != nil {
			if w.scratch, err = w.value.Encode(w.scratch[:0], row); err != nil {
				return w.fail(r, "value", err)
			}
			part = w.scratch
		}
		w.arena = appendOptional(w.arena, part)
	}
	return w.send(r, key, w.cut(from))
}

func (w *recordWriter) send(r *Row, key, value []byte) error {
	w.out.Key, w.out.Value, w.out.Time, w.out.Headers = key, value, r.Time, r.Headers
	w.out.Plain = nil
	if key != nil && w.window != plan.NoWindow {
		w.out.Plain = key[:len(key)-windowBytes(w.window)]
	}
	return w.emit(&w.out)
}

func (w *recordWriter) encodeKey(r *Row) ([]byte, error) {
	if r.Key == nil || w.key == nil {
		return nil, nil
	}
	from := len(w.arena)
	out, err := w.key.Encode(w.arena, r.Key)
	if err != nil || out == nil {
		return nil, err
	}
	w.arena = appendWindow(out, w.window, r.Window)
	return w.cut(from), nil
}

func (w *recordWriter) encodeValue(row []types.Value) ([]byte, error) {
	if row == nil {
		return nil, nil
	}
	from := len(w.arena)
	out, err := w.value.Encode(w.arena, row)
	if err != nil || out == nil {
		return nil, err
	}
	w.arena = out
	return w.cut(from), nil
}

func (w *recordWriter) fail(r *Row, target string, err error) error {
	w.log(Problem{
		Type: serialization, Logger: w.step, Topic: w.out.Topic, Target: target, Row: r,
		Message: fmt.Sprintf("Error serializing message to topic: %s. %v", w.out.Topic, err), Cause: []string{err.Error()},
	})
	if w.strict {
		return fmt.Errorf("Unable to serialize record for topic %s: %s: %w", w.out.Topic, target, err)
	}
	return nil
}

// sink writes rows to the output topic, at the time that WITH (TIMESTAMP) asks
// for. A deletion keeps its time.
func (b *builder) sink(n *plan.Sink) error {
	w, err := b.writer(&n.Output, n.Topic, n.KeyFormat, n.ValueFormat, b.outside(n.Topic))
	if err != nil {
		return err
	}
	if n.Timestamp == nil {
		_, err = b.attach(n.Input, operatorFunc(w.write))
		return err
	}
	times, err := b.timestamps(n.Name, n.Timestamp)
	if err != nil {
		return err
	}
	var row Row
	_, err = b.attach(n.Input, operatorFunc(func(r *Row) error {
		if r.Value == nil {
			return w.write(r)
		}
		ms, ok := times.of(r)
		if !ok {
			return nil
		}
		row = *r
		row.Time = ms
		return w.write(&row)
	}))
	return err
}
