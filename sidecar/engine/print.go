package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// PRINT shows the records of a topic without knowing how they were written: the
// formats that fit all records so far are named, and the first of them is used.

// Open takes one of the places that push queries have, which release gives back.
func (p *Printing) Open() (release func(), err error) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if err := p.e.crowded(); err != nil {
		return nil, err
	}
	p.e.printing++
	return func() {
		p.e.mu.Lock()
		defer p.e.mu.Unlock()
		p.e.printing--
	}, nil
}

// Run prints the topic, a line a record, until its LIMIT or until ctx ends.
// headings are lines that name the formats. idle is called when no record is
// there at the moment, and, quiet, each second in which none has come.
func (p *Printing) Run(ctx context.Context, headings bool, line func(string) error, idle func(quiet bool) error) error {
	start := kgo.NewOffset().AtEnd()
	if p.stmt.FromBeginning {
		start = kgo.NewOffset().AtStart()
	}
	topic, err := describeTopic(ctx, p.e.kafka, p.stmt.Topic)
	if err != nil {
		return err
	}
	if topic == nil {
		return fmt.Errorf("topic %s is gone", p.stmt.Topic)
	}
	from := map[int32]kgo.Offset{}
	for _, part := range topic.Partitions {
		from[part.Partition] = start
	}
	cl, err := kgo.NewClient(append(append([]kgo.Opt{}, p.e.cfg.Client...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.stmt.Topic: from}), kgo.FetchIsolationLevel(kgo.ReadCommitted()))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	left, every, seen := -1, 1, 0
	if p.stmt.Limit != nil {
		left = *p.stmt.Limit
	}
	if p.stmt.Interval != nil {
		every = max(*p.stmt.Interval, 1)
	}
	schemas := newPrintedSchemas(p.e.cfg.Schemas)
	keys, values := formats{schemas: schemas}, formats{schemas: schemas}
	for left != 0 {
		poll, cancel := context.WithTimeout(ctx, time.Second)
		fetches := cl.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err0(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		for it := fetches.RecordIter(); !it.Done() && left != 0; {
			r := it.Next()
			if seen++; (seen-1)%every != 0 {
				continue
			}
			if keys.narrow(r.Key, true) && headings {
				if err := line("Key format: " + keys.String()); err != nil {
					return err
				}
			}
			if values.narrow(r.Value, false) && headings {
				if err := line("Value format: " + values.String()); err != nil {
					return err
				}
			}
			text := fmt.Sprintf("rowtime: %s Z, key: %s, value: %s, partition: %d", r.Timestamp.UTC().Format("2006/01/02 15:04:05.000"),
				keys.show(r.Key), values.show(r.Value), r.Partition)
			if err := line(text); err != nil {
				return err
			}
			if left > 0 {
				left--
			}
		}
		if err := idle(fetches.NumRecords() == 0); err != nil {
			return err
		}
	}
	return nil
}

// formats are those that fit; none before the first record.
type formats struct {
	names   []string
	schemas *printedSchemas
}

func (f *formats) String() string {
	if len(f.names) == 0 {
		return "¯\\_(ツ)_/¯ - no data processed"
	}
	return strings.Join(f.names, " or ")
}

// narrow drops the formats that don't fit and tells whether the list is new.
func (f *formats) narrow(data []byte, isKey bool) bool {
	if data == nil {
		return false
	}
	first := f.names == nil
	if first {
		f.names = candidates(isKey)
	}
	var still []string
	for _, name := range f.names {
		if f.fits(name, data) {
			still = append(still, name)
		}
	}
	if !first && (still == nil || len(still) == len(f.names)) {
		return false
	}
	f.names = still
	return true
}

var kafkaTypes = []string{"KAFKA_INT", "KAFKA_BIGINT", "KAFKA_DOUBLE", "KAFKA_STRING"}

func candidates(isKey bool) []string {
	out := []string{serde.Avro, serde.Protobuf, serde.JSONSchema, "JSON"}
	if !isKey {
		return append(out, kafkaTypes...)
	}
	for _, t := range kafkaTypes {
		out = append(out, "SESSION("+t+")", "HOPPING("+t+")", "TUMBLING("+t+")")
	}
	return append(out, kafkaTypes...)
}

func (f *formats) fits(format string, data []byte) bool {
	if serde.SchemaType(format) != "" {
		return f.schemas.fits(format, data)
	}
	return fits(format, data)
}

func fits(format string, data []byte) bool {
	if window, inner, ok := strings.Cut(strings.TrimSuffix(format, ")"), "("); ok {
		size := 8
		if window == "SESSION" {
			size = 16
		}
		if len(data) <= size {
			return false
		}
		start := int64(binary.BigEndian.Uint64(data[len(data)-8:]))
		if start < 0 || window == "SESSION" && int64(binary.BigEndian.Uint64(data[len(data)-16:])) < start {
			return false
		}
		return fits(inner, data[:len(data)-size])
	}
	switch format {
	case "JSON":
		data = bytes.TrimSpace(data)
		return len(data) > 0 && (data[0] == '{' || data[0] == '[') && json.Valid(data)
	case "KAFKA_INT":
		return len(data) == 4
	case "KAFKA_BIGINT", "KAFKA_DOUBLE":
		return len(data) == 8
	}
	return utf8.Valid(data)
}

// show writes data in the first format that fits. A text that ends in eight
// characters fits a windowed key too: it is shown as text where the time would be
// none.
func (f *formats) show(data []byte) string {
	if data == nil {
		return "<null>"
	}
	for _, name := range f.names {
		if serde.SchemaType(name) != "" {
			if f.schemas.fits(name, data) {
				return f.schemas.show(data)
			}
			continue
		}
		if strings.Contains(name, "(") && !plausible(data) {
			continue
		}
		return render(name, data)
	}
	return string(data)
}

func plausible(data []byte) bool {
	return len(data) > 8 && binary.BigEndian.Uint64(data[len(data)-8:]) < uint64(time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
}

func render(format string, data []byte) string {
	if window, inner, ok := strings.Cut(strings.TrimSuffix(format, ")"), "("); ok {
		start := int64(binary.BigEndian.Uint64(data[len(data)-8:]))
		if window == "SESSION" {
			end := int64(binary.BigEndian.Uint64(data[len(data)-16:]))
			return fmt.Sprintf("[%s@%d/%d]", render(inner, data[:len(data)-16]), start, end)
		}
		return fmt.Sprintf("[%s@%d/-]", render(inner, data[:len(data)-8]), start)
	}
	switch format {
	case "KAFKA_INT":
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(data))))
	case "KAFKA_BIGINT":
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(data)), 10)
	case "KAFKA_DOUBLE":
		return string(types.AppendDouble(nil, math.Float64frombits(binary.BigEndian.Uint64(data))))
	}
	return string(data)
}
