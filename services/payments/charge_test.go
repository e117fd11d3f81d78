package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/services/transact"
)

// script is a provider that answers as it is told: "ok" unless the order has
// answers left.
type script struct {
	answers map[string][]string
	asked   map[string]int // by payment id
}

func (s script) charge(c charge) error {
	s.asked[c.key]++
	left := s.answers[c.order]
	if len(left) == 0 {
		return nil
	}
	s.answers[c.order] = left[1:]
	switch left[0] {
	case "away":
		return errors.New("the provider is away")
	case "declined":
		return declined{"the card was declined"}
	}
	return nil
}

// TestProcess runs the scripts in testdata: `provider` lines say how it will
// answer, `request` lines are records, `tick` is time passing in milliseconds.
func TestProcess(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := script{answers: map[string][]string{}, asked: map[string]int{}}
		d, err := transact.NewDry(payments{provider: s, patience: 100 * time.Millisecond, tries: 4})
		require.NoError(t, err)
		defer d.Close()
		start := time.Now()
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			var out strings.Builder
			print := func(emitted []transact.Record, err error) {
				require.NoError(t, err)
				for _, e := range emitted {
					fmt.Fprintf(&out, "%s %s %s\n", e.Topic, e.Key, e.Value)
				}
			}
			for line := range strings.Lines(td.Input) {
				line = strings.TrimSpace(line)
				switch td.Cmd {
				case "provider":
					id, answers, _ := strings.Cut(line, " ")
					s.answers[id] = strings.Fields(answers)
				case "request":
					id, value, _ := strings.Cut(line, " ")
					bad := len(d.Bad)
					print(d.Process(transact.Record{Topic: requestsTopic, Key: []byte(id), Value: []byte(value), Time: start}))
					for _, b := range d.Bad[bad:] {
						fmt.Fprintf(&out, "! %v\n", b)
					}
				case "tick":
					var ms int
					_, err := fmt.Sscan(line, &ms)
					require.NoError(t, err)
					// The waits begin when a record was processed, a little behind start.
					print(d.Tick(0, time.Now().Add(time.Duration(ms)*time.Millisecond)))
				case "asked":
					fmt.Fprintf(&out, "%s %d\n", line, s.asked[line])
				default:
					require.Fail(t, "no such command", td.Cmd)
				}
			}
			if out.Len() == 0 {
				return "-\n"
			}
			return out.String()
		})
	})
}

// TestSimulated: what becomes of an order doesn't change when it is asked for
// again, and the shares are about those that were set.
func TestSimulated(t *testing.T) {
	s := simulated{declines: 10, outages: 20}
	const n = 5000
	var away, no int
	for i := range n {
		c := charge{order: fmt.Sprint("order-", i), try: 1}
		err := s.charge(c)
		require.Equal(t, err, s.charge(c))
		var d declined
		switch {
		case errors.As(err, &d):
			no++
		case err != nil:
			away++
		}
	}
	require.InDelta(t, 0.20, float64(away)/n, 0.03)
	require.InDelta(t, 0.10*0.80, float64(no)/n, 0.02)
	require.NoError(t, simulated{}.charge(charge{order: "1", try: 1}))
}
