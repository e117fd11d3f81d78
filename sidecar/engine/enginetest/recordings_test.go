package enginetest_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
)

// scenario is a file of exchanges with a real ksqlDB: statements and their
// answers, records put in, and what was then on the topics.
type scenario struct {
	Exchanges []struct {
		Request *struct {
			Path string
			Body string
		}
		Response *struct {
			Status int
			Body   string
		}
		Produced     []put
		TopicRecords json.RawMessage `json:"topic_records"`
	}
}

type put struct {
	Topic     string
	Key       json.RawMessage
	KeyHex    *string `json:"key_hex"`
	Value     *string
	Timestamp int64
	Partition *int32
	Headers   [][2]string
}

type topicRecords struct {
	Topic   string
	Records []struct {
		P     int32
		TS    int64
		Key   json.RawMessage
		Value json.RawMessage
	}
}

// TestRecordings replays recorded scenarios, without Kafka, and compares the
// mistakes found in statements and the records written, partition by partition.
func TestRecordings(t *testing.T) {
	for _, files := range [][]string{
		{"c00_domain_ddl", "c01_filter_csas", "c02_stream_table_join", "c03_stream_stream_join", "c04_fraud_windowed", "c05_validations_aggregate",
			"c06_windowed_table_back", "c07_emails_platinum", "c08_table_aggregates_undo", "c10_keys_formats", "c11_emit_final_gap", "c12_expressions"},
		{"c09_insert_values"},
		{"c14_domain_pipeline_eos", "c15_windowed_rekey_workaround_eos"},
	} {
		s := enginetest.NewSession(nil, nil)
		s.FromEarliest = true
		s.Env.Topics = func(name string) (int, bool) {
			n := s.Driver.Partitions(name)
			return n, n > 0
		}
		for _, f := range files {
			data, err := os.ReadFile(sharedPath(t, filepath.Join("golden", f+".json")))
			if errors.Is(err, fs.ErrNotExist) {
				t.Skip("the recorded exchanges are not here")
			}
			require.NoError(t, err)
			var sc scenario
			require.NoError(t, json.Unmarshal(data, &sc), f)
			t.Run(f, func(t *testing.T) { sc.replay(t, s) })
		}
	}
}

func (sc *scenario) replay(t *testing.T, s *enginetest.Session) {
	for _, e := range sc.Exchanges {
		switch {
		case e.Request != nil && e.Request.Path == "/ksql":
			var body struct{ KSQL string }
			if json.Unmarshal([]byte(e.Request.Body), &body) != nil {
				continue
			}
			compareStatement(t, s, body.KSQL, e.Response.Status, e.Response.Body)
		case e.Produced != nil:
			for _, p := range e.Produced {
				pipe(t, s, p)
			}
		case e.TopicRecords != nil:
			rec := &topicRecords{}
			if json.Unmarshal(e.TopicRecords, rec) == nil { // a text says why it couldn't be read
				compareTopic(t, s, rec)
			}
		}
	}
}

// unlike are statements whose recorded answer can't be compared: they failed for
// reasons of the server, or show what a session does not know.
var unlike = []string{"DESCRIBE", "SHOW", "LIST", "EXPLAIN", "DROP"}

func compareStatement(t *testing.T, s *enginetest.Session, sql string, status int, body string) {
	for _, word := range unlike {
		if strings.HasPrefix(sql, word) {
			return
		}
	}
	err := s.Apply(sql)
	if status == 200 {
		if err != nil {
			t.Errorf("%s\n  was accepted, got: %v", sql, err)
		}
		return
	}
	var want struct{ Message string }
	_ = json.Unmarshal([]byte(body), &want)
	if strings.Contains(want.Message, "Cannot get name for `concat`") {
		return // a mistake of that server's, which ours doesn't make
	}
	if err == nil {
		t.Errorf("%s\n  expected: %s", sql, want.Message)
		return
	}
	if got := diagnostic.All(err)[0].Message; got != want.Message {
		t.Errorf("%s\n  expected: %s\n  got:      %s", sql, want.Message, got)
	}
}

var wallClock int64

func pipe(t *testing.T, s *enginetest.Session, p put) {
	r := driver.Record{Time: p.Timestamp, Partition: -1, Key: keyBytes(t, s, p)}
	if p.Value != nil {
		r.Value = []byte(*p.Value)
	}
	if p.Partition != nil {
		r.Partition = *p.Partition
	}
	for _, h := range p.Headers {
		r.Headers = append(r.Headers, exec.Header{Key: h[0], Value: []byte(h[1])})
	}
	if r.Key == nil && isCompacted(s, p.Topic) {
		return // the broker refuses it
	}
	// Time passes between records: a real server looks for closed windows once a
	// second.
	for _, q := range s.Queries {
		q.AdvanceWallClock(wallClock)
	}
	wallClock += 10_000
	if err := s.Driver.Pipe(p.Topic, r); err != nil {
		t.Errorf("record for %s: %v", p.Topic, err)
	}
}

func isCompacted(s *enginetest.Session, topic string) bool {
	for _, src := range s.Env.Catalog.Sources() {
		if src.Topic == topic && src.Table {
			return true
		}
	}
	return false
}

// keyBytes: keys that are no text are recorded as hexadecimal digits.
func keyBytes(t *testing.T, s *enginetest.Session, p put) []byte {
	var text *string
	if len(p.Key) > 0 && json.Unmarshal(p.Key, &text) != nil {
		return []byte(recordedKey(t, p.Key))
	}
	if text == nil {
		return nil
	}
	for _, src := range s.Env.Catalog.Sources() {
		if src.Topic == p.Topic && len(src.Schema.Key) == 1 && src.KeyFormat.Name == "KAFKA" && src.Schema.Key[0].Type.String() != "STRING" {
			if b, err := hex.DecodeString(*text); err == nil {
				return b
			}
		}
	}
	return []byte(*text)
}

// cached are topics whose order or number of records isn't given: by a query
// with a cache, which keeps changes back, or by one that reads several
// partitions into one key.
var cached = map[string]bool{"W_DFLT": true, "KALL": true}

// written is the time of INSERT VALUES in the recordings: later than all times
// that are given.
const written = 1_750_000_000_000

func compareTopic(t *testing.T, s *enginetest.Session, rec *topicRecords) {
	if strings.HasPrefix(rec.Topic, "_confluent") || strings.HasSuffix(rec.Topic, "processing_log") || cached[rec.Topic] {
		return
	}
	want, got := map[string][]string{}, map[string][]string{}
	for _, r := range rec.Records {
		key := "null"
		if string(r.Key) != "null" && len(r.Key) > 0 {
			key = fmt.Sprintf("%d %q", r.P, recordedKey(t, r.Key))
		}
		if r.TS > written {
			r.TS = 0
		}
		want[key] = append(want[key], fmt.Sprintf("%s %d", recordedValue(r.Value), r.TS))
	}
	for _, r := range s.Driver.Read(rec.Topic) {
		key, value := "null", "null"
		if r.Key != nil {
			key = fmt.Sprintf("%d %q", r.Partition, r.Key)
		}
		if r.Value != nil {
			value = string(r.Value)
		}
		got[key] = append(got[key], fmt.Sprintf("%s %d", value, r.Time))
	}
	// Records without key are in any partition.
	sort.Strings(want["null"])
	sort.Strings(got["null"])
	keys := map[string]bool{}
	for k := range want {
		keys[k] = true
	}
	for k := range got {
		keys[k] = true
	}
	for k := range keys {
		if strings.Join(want[k], "\n") != strings.Join(got[k], "\n") {
			t.Errorf("topic %s, key %s\n%s", rec.Topic, k, sideBySide(want[k], got[k]))
		}
	}
}

func recordedValue(raw json.RawMessage) string {
	var text *string
	if json.Unmarshal(raw, &text) == nil {
		if text == nil {
			return "null"
		}
		return *text
	}
	var h struct{ Hex string }
	if json.Unmarshal(raw, &h) == nil {
		if b, err := hex.DecodeString(h.Hex); err == nil {
			return string(b)
		}
	}
	return base64.StdEncoding.EncodeToString(raw)
}

func sideBySide(want, got []string) string {
	var b strings.Builder
	for i := 0; i < max(len(want), len(got)); i++ {
		w, g := "", ""
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if w == g {
			continue
		}
		fmt.Fprintf(&b, "  %d expected %s\n  %d got      %s\n", i, w, i, g)
	}
	return b.String()
}
