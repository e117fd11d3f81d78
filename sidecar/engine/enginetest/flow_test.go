package enginetest_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
)

// recording is what is read of a file of exchanges with a real ksqlDB.
type recording struct {
	Produced [][]struct {
		Topic, Key, Value string
		Timestamp         int64
	}
	Exchanges []struct {
		TopicRecords *struct {
			Topic   string
			Records []struct {
				P     int32
				TS    int64
				Key   json.RawMessage
				Value *string
			}
		} `json:"topic_records"`
	}
}

func readRecording(t *testing.T, name string) *recording {
	data, err := os.ReadFile(sharedPath(t, name))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the recorded exchanges are not here")
	}
	require.NoError(t, err)
	r := &recording{}
	require.NoError(t, json.Unmarshal(data, r))
	return r
}

// TestOrderFlow runs the whole order flow and compares every record of every
// topic with what a real ksqlDB wrote.
func TestOrderFlow(t *testing.T) {
	rec := readRecording(t, "golden/d01_kit_flow_eos.json")
	sql, err := os.ReadFile(sharedPath(t, "flow.sql"))
	require.NoError(t, err)
	s := enginetest.NewSession(nil, nil)
	require.NoError(t, s.Apply(string(sql)))
	for _, batch := range rec.Produced {
		for _, p := range batch {
			key := []byte(p.Key)
			if p.Topic == "customers" {
				key, err = hex.DecodeString(p.Key)
				require.NoError(t, err)
			}
			require.NoError(t, s.Driver.Pipe(p.Topic, driver.Record{Key: key, Value: []byte(p.Value), Time: p.Timestamp, Partition: -1}))
		}
	}
	compared := 0
	for _, e := range rec.Exchanges {
		if e.TopicRecords == nil {
			continue
		}
		var want []string
		for _, r := range e.TopicRecords.Records {
			value := "null"
			if r.Value != nil {
				value = *r.Value
			}
			want = append(want, fmt.Sprintf("%d %s %s %d", r.P, recordedKey(t, r.Key), value, r.TS))
		}
		var got []string
		for p := int32(0); p < 4; p++ {
			for _, r := range s.Driver.Read(e.TopicRecords.Topic) {
				if r.Partition == p {
					value := "null"
					if r.Value != nil {
						value = string(r.Value)
					}
					got = append(got, fmt.Sprintf("%d %s %s %d", p, r.Key, value, r.Time))
				}
			}
		}
		require.Equal(t, want, got, "topic "+e.TopicRecords.Topic)
		compared++
	}
	require.Equal(t, 10, compared)
}

func recordedKey(t *testing.T, raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var h struct{ Hex string }
	require.NoError(t, json.Unmarshal(raw, &h))
	b, err := hex.DecodeString(h.Hex)
	require.NoError(t, err)
	return string(b)
}
