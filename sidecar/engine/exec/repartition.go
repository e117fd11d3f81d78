package exec

import (
	"encoding/binary"
	"errors"

	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// Repartition topics of plain rows hold keys and values as sinks do. Those of
// changes hold, as value, the length of the new row plus one (0 without one),
// the new row, and the same of the old.

// repartitionWrite builds the end that writes.
func (b *builder) repartitionWrite(n *plan.Repartition) error {
	w, err := b.writer(&n.Output, n.Topic, serde.WithoutSchema(n.KeyFormat), serde.WithoutSchema(n.ValueFormat), b.inside(n.Topic))
	if err != nil {
		return err
	}
	w.out.Internal = true
	if !n.Changes {
		_, err := b.attach(n.Input, operatorFunc(w.write))
		return err
	}
	in, err := b.attach(n.Input, operatorFunc(w.writeChange))
	if err != nil {
		return err
	}
	in.needOld()
	return nil
}

// repartitionRead builds the end that reads.
func (b *builder) repartitionRead(n *plan.Repartition) (*stage, error) {
	read, err := b.readIndex(n)
	if err != nil {
		return nil, err
	}
	reader, err := b.reader(&n.Output, n.Topic, n.KeyFormat, n.ValueFormat, n.Schema.Key, n.Schema.Value, nil, b.inside(n.Topic))
	if err != nil {
		return nil, err
	}
	reader.strict = true // this task's own bytes: if they can't be read, something is broken
	s := &repartitioned{reader: reader, task: b.task}
	s.knowsOld = n.Changes
	b.task.inputs[read] = s.process
	if n.Changes {
		if s.before, err = b.reader(&n.Output, n.Topic, n.KeyFormat, n.ValueFormat, n.Schema.Key, n.Schema.Value, nil, b.inside(n.Topic)); err != nil {
			return nil, err
		}
		s.before.strict = true
		b.task.inputs[read] = s.processChange
	}
	return &s.stage, nil
}

type repartitioned struct {
	stage
	reader, before *recordReader // of the row, and of the row it replaced
	task           *Task
	row, old       Row
	in             Input
}

func (s *repartitioned) process(in *Input) error {
	ok, err := s.reader.read(in, &s.row)
	if err != nil || !ok {
		return err
	}
	s.task.seen(in.Time)
	return s.forward(&s.row)
}

func (s *repartitioned) processChange(in *Input) error {
	value, old, err := cutChange(in.Value)
	if err != nil {
		return err
	}
	s.in = *in
	s.in.Value = value
	if _, err := s.reader.read(&s.in, &s.row); err != nil {
		return err
	}
	if old != nil {
		s.in.Value = old
		if _, err := s.before.read(&s.in, &s.old); err != nil {
			return err
		}
		s.row.Old = s.old.Value
	}
	s.task.seen(in.Time)
	return s.forward(&s.row)
}

var errChange = errors.New("exec: repartition topic holds a record that is no table change")

func cutChange(data []byte) (value, old []byte, err error) {
	if value, data, err = cutOptional(data); err != nil {
		return nil, nil, err
	}
	old, _, err = cutOptional(data)
	return value, old, err
}

func cutOptional(data []byte) (part, rest []byte, err error) {
	n, w := binary.Uvarint(data)
	if w <= 0 || n > uint64(len(data)-w)+1 {
		return nil, nil, errChange
	}
	data = data[w:]
	if n == 0 {
		return nil, data, nil
	}
	return data[: n-1 : n-1], data[n-1:], nil
}

// appendOptional appends a part that may be missing, as cutOptional reads it.
func appendOptional(dst, part []byte) []byte {
	if part == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(part))+1)
	return append(dst, part...)
}
