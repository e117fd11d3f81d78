package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// source turns records of a topic into rows.
type source struct {
	stage
	reader *recordReader
	time   *timestamps
	task   *Task
	// pick[i] is the place in the reader's columns of column i; nil when they are
	// the same.
	pick []int
	vals []types.Value
	row  Row
	// table sources
	table bool
	rows  *tableStore
}

func (b *builder) source(n *plan.Source) (*stage, error) {
	read, err := b.readIndex(n)
	if err != nil {
		return nil, err
	}
	s := &source{task: b.task, table: n.Table}
	s.reader, err = b.reader(&n.Output, n.Topic, n.KeyFormat, n.ValueFormat, n.KeyColumns, n.ValueColumns, n.Used, b.outside(n.Topic))
	if err != nil {
		return nil, err
	}
	if s.pick, err = pickColumns(n); err != nil {
		return nil, err
	}
	s.vals = make([]types.Value, len(s.pick))
	if n.Timestamp != nil {
		if s.time, err = b.timestamps(n.Name, n.Timestamp); err != nil {
			return nil, err
		}
	}
	if n.Table && n.Store != nil {
		store := b.env.Store(n.Store)
		s.rows = newTableStore(store, &n.Output, true)
		s.get = tableGetter{newTableReader(store, &n.Output, true)}
		s.knowsOld = true
	}
	b.task.inputs[read] = s.process
	return &s.stage, nil
}

// pickColumns maps the columns of the step to the columns of the topic.
func pickColumns(n *plan.Source) ([]int, error) {
	if len(n.Schema.Value) == len(n.ValueColumns) {
		return nil, nil
	}
	pick := make([]int, len(n.Schema.Value))
	for i, c := range n.Schema.Value {
		pick[i] = -1
		for j := range n.ValueColumns {
			if n.ValueColumns[j].Name == c.Name {
				pick[i] = j
			}
		}
		if pick[i] < 0 {
			return nil, fmt.Errorf("exec: source %s has no column %s", n.SourceName, c.Name)
		}
	}
	return pick, nil
}

func (s *source) process(in *Input) error {
	ok, err := s.reader.read(in, &s.row)
	if err != nil || !ok {
		return err
	}
	r := &s.row
	r.Old = nil
	if s.pick != nil && r.Value != nil {
		for i, j := range s.pick {
			s.vals[i] = r.Value[j]
		}
		r.Value = s.vals
	}
	if s.time != nil && r.Value != nil {
		if r.Time, ok = s.time.of(r); !ok {
			return nil
		}
	}
	if r.Time < 0 {
		return nil // Kafka Streams passes records without a valid time by
	}
	s.task.seen(r.Time)
	if s.table {
		if r.Key == nil {
			return nil // a table has no null key
		}
		if s.rows != nil {
			if s.wantsOld {
				old, err := s.rows.get(r.Key, r.Window)
				if err != nil {
					return err
				}
				if old != nil {
					r.Old = old.Value
				}
			}
			s.rows.put(r)
		}
	}
	return s.forward(r)
}

// recordReader deserialises records. Those that can't be read go to the
// processing log and are passed by.
type recordReader struct {
	key, value  serde.Decoder
	keys, vals  []types.Value
	decoded     []types.Value // what the value's serde fills, without headers
	headers     []headerColumn
	places      []int // where decoded columns go among vals; nil when there are no headers
	window      plan.WindowKind
	windowSize  int64
	topic, step string
	strict      bool // stop at the first record that can't be read
	log         func(Problem)
}

// headerColumn is a column filled from headers: all, or the last with the key.
type headerColumn struct {
	place int
	key   *string
}

func (b *builder) reader(out *plan.Output, topic string, keyFormat, valueFormat plan.Format, keys, values []schema.Column, used []bool, o serde.Options) (*recordReader, error) {
	rr := &recordReader{
		keys: make([]types.Value, len(keys)), vals: make([]types.Value, len(values)),
		window: out.Window, windowSize: out.WindowSize, topic: topic, step: out.Name,
		strict: b.enabled("ksql.fail.on.deserialization.error", false), log: b.env.Log,
	}
	var cols []schema.Column
	var decodeUsed []bool
	for i, c := range values {
		if c.Headers {
			rr.headers = append(rr.headers, headerColumn{i, c.HeaderKey})
			continue
		}
		rr.places = append(rr.places, i)
		cols = append(cols, c)
		if used != nil {
			decodeUsed = append(decodeUsed, used[i])
		}
	}
	rr.decoded = rr.vals
	if rr.headers == nil {
		rr.places = nil
	} else {
		rr.decoded = make([]types.Value, len(cols))
	}
	var err error
	if len(keys) > 0 { // a topic without key columns has keys that nobody reads
		rr.key, err = serde.NewDecoder(keyFormat, keys, serde.Options{Subject: o.Subject + "-key", IsKey: true, Registry: o.Registry})
		if err != nil {
			return nil, fmt.Errorf("%s: key of %s: %w", out.Name, topic, err)
		}
	}
	rr.value, err = serde.NewDecoder(valueFormat, cols, serde.Options{Used: decodeUsed, Subject: o.Subject + "-value", Registry: o.Registry})
	if err != nil {
		return nil, fmt.Errorf("%s: value of %s: %w", out.Name, topic, err)
	}
	return rr, nil
}

// read fills r, whose slices are valid until the next read. ok is false for a
// record to pass by.
func (rr *recordReader) read(in *Input, r *Row) (ok bool, err error) {
	*r = Row{Time: in.Time, Partition: in.Partition, Offset: in.Offset, Headers: in.Headers}
	if in.Key != nil && rr.key != nil {
		key := in.Key
		if rr.window != plan.NoWindow {
			if key, r.Window, err = cutWindow(in.Key, rr.window, rr.windowSize); err != nil {
				return false, rr.fail(in, "key", err)
			}
		}
		present, err := rr.key.Decode(key, rr.keys)
		if err != nil {
			return false, rr.fail(in, "key", err)
		}
		if present {
			r.Key = rr.keys
		}
	}
	if in.Value == nil {
		return true, nil
	}
	present, err := rr.value.Decode(in.Value, rr.decoded)
	if err != nil {
		return false, rr.fail(in, "value", err)
	}
	if !present {
		return true, nil
	}
	for i, p := range rr.places {
		rr.vals[p] = rr.decoded[i]
	}
	for _, h := range rr.headers {
		rr.vals[h.place] = headerValue(in.Headers, h.key)
	}
	r.Value = rr.vals
	return true, nil
}

func (rr *recordReader) fail(in *Input, target string, err error) error {
	if serde.IsUnavailable(err) { // nothing is wrong with the record
		return fmt.Errorf("%s of record %s-%d@%d: %w", target, rr.topic, in.Partition, in.Offset, err)
	}
	p := Problem{Type: deserialization, Logger: rr.step, Message: err.Error(), Topic: rr.topic, Target: target, Input: in}
	for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(cause) {
		p.Cause = append(p.Cause, cause.Error())
	}
	rr.log(p)
	if rr.strict {
		return fmt.Errorf("%s of record %s-%d@%d can't be read: %w", target, rr.topic, in.Partition, in.Offset, err)
	}
	return nil
}

func headerValue(headers []Header, key *string) types.Value {
	if key == nil {
		all := make([]types.Value, len(headers))
		for i, h := range headers {
			all[i] = types.NewStruct([]types.Value{types.NewString(h.Key), headerBytes(h.Value)})
		}
		return types.NewArray(all)
	}
	for i := len(headers) - 1; i >= 0; i-- {
		if headers[i].Key == *key {
			return headerBytes(headers[i].Value)
		}
	}
	return types.Value{}
}

func headerBytes(b []byte) types.Value {
	if b == nil {
		return types.Value{}
	}
	return types.NewBytes(b)
}

// cutWindow takes the window off a key: its start, or a session's end and start,
// 8 bytes each.
func cutWindow(key []byte, kind plan.WindowKind, size int64) ([]byte, Window, error) {
	n := windowBytes(kind)
	if len(key) < n {
		return nil, Window{}, fmt.Errorf("windowed key of %d bytes is too short", len(key))
	}
	cut := len(key) - n
	first := int64(binary.BigEndian.Uint64(key[cut:]))
	if kind == plan.SessionWindow {
		return key[:cut], Window{Start: int64(binary.BigEndian.Uint64(key[cut+8:])), End: first}, nil
	}
	end := first + size
	if size <= 0 || end < 0 {
		end = math.MaxInt64
	}
	return key[:cut], Window{Start: first, End: end}, nil
}

// windowBytes is the length of a window behind its key.
func windowBytes(kind plan.WindowKind) int {
	switch kind {
	case plan.TimeWindow:
		return 8
	case plan.SessionWindow:
		return 16
	}
	return 0
}

// appendWindow appends what cutWindow takes off.
func appendWindow(key []byte, kind plan.WindowKind, w Window) []byte {
	switch kind {
	case plan.TimeWindow:
		key = binary.BigEndian.AppendUint64(key, uint64(w.Start))
	case plan.SessionWindow:
		key = binary.BigEndian.AppendUint64(key, uint64(w.End))
		key = binary.BigEndian.AppendUint64(key, uint64(w.Start))
	}
	return key
}
