package deploy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Recorded is a record of a recording: a line of JSON. Keys and values are text,
// or base64 where they aren't.
type Recorded struct {
	Topic      string
	Partition  int32
	Offset     int64
	Time       int64 // ms
	Key, Value []byte
	Headers    []RecordedHeader
}

// RecordedHeader is a header of a record.
type RecordedHeader struct {
	Key   string
	Value []byte
}

type recordedLine struct {
	Topic     string         `json:"topic"`
	Partition int32          `json:"partition"`
	Offset    int64          `json:"offset"`
	Timestamp int64          `json:"timestamp"`
	Key       *string        `json:"key,omitempty"`
	KeyB64    *string        `json:"keyBase64,omitempty"`
	Value     *string        `json:"value,omitempty"`
	ValueB64  *string        `json:"valueBase64,omitempty"`
	Headers   []recordedHead `json:"headers,omitempty"`
}

type recordedHead struct {
	Key   string  `json:"key"`
	Value *string `json:"valueBase64,omitempty"`
}

func asText(b []byte) (text, encoded *string) {
	if b == nil {
		return nil, nil
	}
	s := string(b)
	if utf8.Valid(b) {
		return &s, nil
	}
	s = base64.StdEncoding.EncodeToString(b)
	return nil, &s
}

func asBytes(text, encoded *string) ([]byte, error) {
	switch {
	case encoded != nil:
		return base64.StdEncoding.DecodeString(*encoded)
	case text != nil:
		return []byte(*text), nil
	}
	return nil, nil
}

// MarshalJSON writes the line.
func (r Recorded) MarshalJSON() ([]byte, error) {
	l := recordedLine{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Time}
	l.Key, l.KeyB64 = asText(r.Key)
	l.Value, l.ValueB64 = asText(r.Value)
	for _, h := range r.Headers {
		v := base64.StdEncoding.EncodeToString(h.Value)
		l.Headers = append(l.Headers, recordedHead{h.Key, &v})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// UnmarshalJSON reads a line.
func (r *Recorded) UnmarshalJSON(raw []byte) error {
	var l recordedLine
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return err
	}
	*r = Recorded{Topic: l.Topic, Partition: l.Partition, Offset: l.Offset, Time: l.Timestamp}
	var err error
	if r.Key, err = asBytes(l.Key, l.KeyB64); err != nil {
		return fmt.Errorf("keyBase64: %w", err)
	}
	if r.Value, err = asBytes(l.Value, l.ValueB64); err != nil {
		return fmt.Errorf("valueBase64: %w", err)
	}
	for _, h := range l.Headers {
		v, err := asBytes(nil, h.Value)
		if err != nil {
			return fmt.Errorf("header %s: %w", h.Key, err)
		}
		r.Headers = append(r.Headers, RecordedHeader{h.Key, v})
	}
	return nil
}

// Recording is what topics held: their partitions, and their records, each
// partition's in order.
type Recording struct {
	Partitions map[string]int
	Records    []Recorded
}

// ReadRecording reads JSON lines. Name is for errors.
func ReadRecording(name string, r io.Reader) (*Recording, error) {
	out := &Recording{Partitions: map[string]int{}}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 64<<20)
	for n := 1; s.Scan(); n++ {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		var rec Recorded
		if err := json.Unmarshal(s.Bytes(), &rec); err != nil {
			return nil, fmt.Errorf("%s:%d: not a record of a recording: %w", name, n, err)
		}
		if rec.Topic == "" || rec.Partition < 0 {
			return nil, fmt.Errorf("%s:%d: a record needs a topic, and a partition that isn't negative", name, n)
		}
		out.Partitions[rec.Topic] = max(out.Partitions[rec.Topic], int(rec.Partition)+1)
		out.Records = append(out.Records, rec)
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// RecordOptions say how much is recorded.
type RecordOptions struct {
	// Since leaves out what is older; zero for everything.
	Since time.Time
	// Max records of a topic, the latest ones; 0 for all.
	Max int64
	// Say is told how far it is; nil for nobody.
	Say func(string)
}

// Record reads topics up to the ends that they have now, committed records only.
func (k *Kafka) Record(ctx context.Context, topics []string, o RecordOptions, take func(Recorded) error) (map[string]int, error) {
	there, err := k.partitions(ctx)
	if err != nil {
		return nil, err
	}
	partitions := map[string]int{}
	for _, t := range topics {
		if there[t] == 0 {
			return nil, fmt.Errorf("there is no topic %s", t)
		}
		partitions[t] = there[t]
	}
	from, err := k.starts(ctx, topics...)
	if err != nil {
		return nil, err
	}
	to, err := k.ends(ctx, topics...)
	if err != nil {
		return nil, err
	}
	if !o.Since.IsZero() {
		listed, err := k.adm.ListOffsetsAfterMilli(ctx, o.Since.UnixMilli(), topics...)
		if err != nil {
			return nil, err
		}
		for t, ps := range listed {
			for p, l := range ps {
				if l.Err == nil && l.Offset >= 0 {
					from.set(t, p, max(from[t][p], l.Offset))
				}
			}
		}
	}
	if o.Max > 0 {
		for _, t := range topics {
			share := max(1, o.Max/int64(partitions[t]))
			for p, end := range to[t] {
				from.set(t, p, max(from[t][p], end-share))
			}
		}
	}
	return partitions, k.each(ctx, from, to, o.Say, take)
}

// each gives the records from offsets up to others.
func (k *Kafka) each(ctx context.Context, from, to offsets, say func(string), take func(Recorded) error) error {
	at, left, total := map[string]map[int32]kgo.Offset{}, 0, int64(0)
	for t, ps := range to {
		for p, end := range ps {
			if from[t][p] < end {
				if at[t] == nil {
					at[t] = map[int32]kgo.Offset{}
				}
				at[t][p] = kgo.NewOffset().At(from[t][p])
				left++
				total += end - from[t][p]
			}
		}
	}
	if left == 0 {
		return nil
	}
	cl, err := connect(ctx, k.brokers, kgo.ConsumePartitions(at), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return err
	}
	defer cl.Close()
	done := map[string]map[int32]bool{}
	said, n := time.Now(), int64(0)
	for left > 0 {
		poll, cancel := context.WithTimeout(ctx, quietEnd)
		fetches := cl.PollFetches(poll)
		quiet := poll.Err() != nil && ctx.Err() == nil
		cancel()
		if quiet {
			return nil // the rest was compacted away
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			end := to[r.Topic][r.Partition]
			if done[r.Topic] == nil {
				done[r.Topic] = map[int32]bool{}
			}
			if r.Offset >= end || done[r.Topic][r.Partition] {
				continue
			}
			if r.Offset == end-1 {
				done[r.Topic][r.Partition] = true
				left--
			}
			n++
			if r.Attrs.IsControl() {
				continue
			}
			rec := Recorded{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Time: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
			for _, h := range r.Headers {
				rec.Headers = append(rec.Headers, RecordedHeader{h.Key, h.Value})
			}
			if err := take(rec); err != nil {
				return err
			}
		}
		if say != nil && time.Since(said) > 2*time.Second {
			said = time.Now()
			say(fmt.Sprintf("%d of %d records read", n, total))
		}
	}
	return nil
}
