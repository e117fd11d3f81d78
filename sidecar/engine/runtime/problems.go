package runtime

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// maxProblems bounds the entries of the processing log that wait to be written;
// more are counted and dropped, so that a flood of bad records can't fill memory.
const maxProblems = 10_000

// ProcessingLogTopic is ksqlDB's name for a service's processing log.
func ProcessingLogTopic(serviceID string) string { return serviceID + "ksql_processing_log" }

// ProcessingLogRows is the setting that puts the rows into the log's entries.
const ProcessingLogRows = "ksql.logging.processing.rows.include"

// entry is an entry of the processing log, as ksqlDB writes it.
type entry struct {
	Level   string  `json:"level"`
	Logger  string  `json:"logger"`
	Time    int64   `json:"time"`
	Message message `json:"message"`
}

type message struct {
	Type                    int          `json:"type"`
	DeserializationError    *recordError `json:"deserializationError"`
	RecordProcessingError   *rowError    `json:"recordProcessingError"`
	ProductionError         *plainError  `json:"productionError"`
	SerializationError      *writeError  `json:"serializationError"`
	KafkaStreamsThreadError *threadError `json:"kafkaStreamsThreadError"`
}

type recordError struct {
	Target       string   `json:"target"`
	ErrorMessage string   `json:"errorMessage"`
	RecordB64    *string  `json:"recordB64"`
	Cause        []string `json:"cause"`
	Topic        string   `json:"topic"`
}

type rowError struct {
	ErrorMessage string   `json:"errorMessage"`
	Record       *string  `json:"record"`
	Cause        []string `json:"cause"`
}

type writeError struct {
	Target       string   `json:"target"`
	ErrorMessage string   `json:"errorMessage"`
	Record       *string  `json:"record"`
	Cause        []string `json:"cause"`
	Topic        string   `json:"topic"`
}

type plainError struct {
	ErrorMessage string `json:"errorMessage"`
}

type threadError struct {
	ErrorMessage string   `json:"errorMessage"`
	ThreadName   string   `json:"threadName"`
	Cause        []string `json:"cause"`
}

// problemEntry puts a problem into the processing log's form.
func problemEntry(queryID string, p exec.Problem, rows bool, now time.Time) entry {
	e := entry{Level: "ERROR", Logger: "processing." + queryID + "." + p.Logger, Time: now.UnixMilli()}
	cause := p.Cause
	if cause == nil {
		cause = []string{}
	}
	switch p.Type {
	case "deserializationError":
		e.Logger += ".deserializer"
		r := &recordError{Target: p.Target, ErrorMessage: p.Message, Cause: cause, Topic: p.Topic}
		if rows && p.Input != nil {
			data := p.Input.Value
			if p.Target == "key" {
				data = p.Input.Key
			}
			text := base64.StdEncoding.EncodeToString(data)
			r.RecordB64 = &text
		}
		e.Message = message{Type: 0, DeserializationError: r}
	case "serializationError":
		e.Logger += ".serializer"
		e.Message = message{Type: 3, SerializationError: &writeError{Target: p.Target, ErrorMessage: p.Message, Record: rowText(p, rows), Cause: cause, Topic: p.Topic}}
	case "productionError":
		e.Message = message{Type: 2, ProductionError: &plainError{p.Message}}
	case "kafkaStreamsThreadError":
		e.Message = message{Type: 4, KafkaStreamsThreadError: &threadError{ErrorMessage: p.Message, ThreadName: p.Logger, Cause: cause}}
	default:
		e.Message = message{Type: 1, RecordProcessingError: &rowError{ErrorMessage: p.Message, Record: rowText(p, rows), Cause: cause}}
	}
	return e
}

func rowText(p exec.Problem, rows bool) *string {
	if !rows || p.Row == nil {
		return nil
	}
	texts := make([]string, len(p.Row.Value))
	for i, v := range p.Row.Value {
		texts[i] = types.Text(v, types.Type{})
	}
	s := "[" + strings.Join(texts, ", ") + "]"
	return &s
}

// problem logs what went wrong with a record. The query goes on.
func (q *Query) problem(p exec.Problem) {
	q.Problems.Add(1)
	q.unread(p)
	if q.rt.cfg.OnProblem != nil {
		q.rt.cfg.OnProblem(q.id, p)
	}
	now := time.Now()
	// The process's own log names one problem a second; the topic has them all.
	if now.Sub(q.logged) >= time.Second {
		args := []any{"query", q.id, "step", p.Logger, "type", p.Type, "problem", p.Message}
		if p.Input != nil {
			args = append(args, "topic", p.Topic, "partition", p.Input.Partition, "offset", p.Input.Offset)
		}
		if q.unlogged > 0 {
			args = append(args, "others since the last message", q.unlogged)
		}
		q.rt.log.Warn("a record could not be processed and is passed by", args...)
		q.logged, q.unlogged = now, 0
	} else {
		q.unlogged++
	}
	if q.rt.cfg.ProcessingLog == "" {
		return
	}
	value, err := json.Marshal(problemEntry(q.id, p, q.opts.Config[ProcessingLogRows] == "true", now))
	if err != nil {
		q.rt.log.Warn("processing log", "query", q.id, "err", err)
		return
	}
	q.rt.raw.TryProduce(context.Background(), &kgo.Record{Topic: q.rt.cfg.ProcessingLog, Value: value}, func(_ *kgo.Record, err error) {
		if err != nil {
			q.rt.dropped.Add(1)
		}
	})
}

// DroppedProblems counts the entries that didn't get into the processing log.
func (r *Runtime) DroppedProblems() int64 { return r.dropped.Load() }

func (r *Runtime) makeProcessingLog(ctx context.Context) error {
	replication := r.cfg.Replication
	if replication == 0 {
		replication = -1
	}
	resp, err := r.admin.CreateTopic(ctx, 1, replication, map[string]*string{"cleanup.policy": kadm.StringPtr("delete")}, r.cfg.ProcessingLog)
	if err == nil {
		err = resp.Err
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("processing log topic %s: %w", r.cfg.ProcessingLog, err)
	}
	return nil
}
