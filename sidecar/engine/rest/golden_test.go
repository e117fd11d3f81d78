package rest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// setting is what a scenario needs that it doesn't say by itself.
type setting struct {
	// before are the scenarios whose statements and records it builds on.
	before []string
	// statements that were sent before it was recorded.
	statements string
	properties map[string]string // of the server
	service    string
}

const numbered = "CREATE STREAM s4 (id STRING KEY, n INT, a INT, price DECIMAL(12,2), state STRING) WITH (KAFKA_TOPIC='e4-in', VALUE_FORMAT='JSON', PARTITIONS=2);"

var settings = map[string]setting{
	"a03":  {before: []string{"a02"}},
	"a04":  {properties: map[string]string{"ksql.heartbeat.enable": "true", "ksql.lag.reporting.enable": "true"}},
	"b01":  {before: []string{"b00"}},
	"b02":  {before: []string{"b00"}},
	"b04":  {before: []string{"b00"}},
	"b05":  {before: []string{"b00"}},
	"b06":  {before: []string{"b00"}},
	"b07":  {before: []string{"b00", "b03"}},
	"c01":  {before: []string{"c00"}},
	"c02":  {before: []string{"c00", "c01"}},
	"c06":  {before: []string{"c04"}},
	"c15":  {before: []string{"c14"}},
	"e04":  {statements: numbered},
	"e05":  {statements: numbered, before: []string{"e06"}},
	"e06":  {statements: numbered},
	"e07":  {service: "b_", properties: map[string]string{"ksql.logging.processing.stream.auto.create": "false"}},
	"e08b": {}, // what three nodes tell: nothing is sent
}

// exception is an exchange that this engine answers otherwise than was recorded.
type exception struct {
	Scenario string
	Exchange int    // its place in the scenario
	Request  string // a part of it, or its topic
	Reason   string
	// Varies: it comes out as recorded at times.
	Varies bool
}

const exceptionsFile = "testdata/golden-exceptions.yaml"

func goldenExceptions(t *testing.T) map[string]map[int]exception {
	b, err := os.ReadFile(exceptionsFile)
	require.NoError(t, err)
	var list []exception
	require.NoError(t, yaml.Unmarshal(b, &list), exceptionsFile)
	out := map[string]map[int]exception{}
	for _, x := range list {
		require.True(t, x.Scenario != "" && x.Request != "" && x.Reason != "", "%s: %+v lacks something", exceptionsFile, x)
		if out[x.Scenario] == nil {
			out[x.Scenario] = map[int]exception{}
		}
		_, twice := out[x.Scenario][x.Exchange]
		require.False(t, twice, "%s: %s, exchange %d is there twice", exceptionsFile, x.Scenario, x.Exchange)
		out[x.Scenario][x.Exchange] = x
	}
	return out
}

var scenarioName = regexp.MustCompile(`^[a-z]\d+b?`)

// TestGolden replays the exchanges that were recorded from a real ksqlDB, and
// wants the same answers and the same records on every topic, but for the
// exceptions of testdata/golden-exceptions.yaml. GOLDEN=b02 replays one scenario.
func TestGolden(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.json", "evolve/*.json"} {
		found, _ := filepath.Glob("../../../../shared/golden/" + pattern)
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Skip("the recordings of a real server (../shared/golden beside the repository) aren't here: nothing to compare with")
	}
	byName := map[string]string{}
	for _, f := range files {
		byName[scenarioName.FindString(filepath.Base(f))] = f
	}
	exceptions := goldenExceptions(t)
	for name := range exceptions {
		require.Contains(t, byName, name, "%s names a scenario that there isn't", exceptionsFile)
	}
	only := os.Getenv("GOLDEN")
	var mu sync.Mutex
	var report []string
	t.Cleanup(func() {
		sort.Strings(report)
		t.Logf("exchanges and topics as recorded:\n%s", strings.Join(report, "\n"))
	})
	for name, file := range byName {
		if only != "" && name != only {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait more than they work
			set := settings[name]
			r := newReplay(t, set)
			if set.statements != "" {
				r.execute(set.statements)
			}
			for _, before := range set.before {
				r.run(byName[before], false)
			}
			r.run(file, true)
			known := r.judge(exceptions[name])
			mu.Lock()
			defer mu.Unlock()
			report = append(report, fmt.Sprintf("%-5s %d of %d, %d known to differ", name, r.compared-r.differing(), r.compared, known))
		})
	}
}

// differing counts the exchanges that differ.
func (r *replay) differing() int {
	at := map[int]bool{}
	for _, d := range r.differences {
		at[d.exchange] = true
	}
	return len(at)
}

// judge fails the test for differences that no exception knows, and for exceptions
// that aren't any.
func (r *replay) judge(exceptions map[int]exception) (known int) {
	differs := map[int]bool{}
	for _, d := range r.differences {
		x, ok := exceptions[d.exchange]
		if ok && strings.Contains(d.request, x.Request) {
			if !differs[d.exchange] {
				known++
			}
			differs[d.exchange] = true
			r.t.Logf("known to differ (%s): [%d] %s", x.Reason, d.exchange, d.request)
			continue
		}
		r.t.Errorf("[%d] %s\n%s", d.exchange, d.request, d.text)
	}
	for at, x := range exceptions {
		if !differs[at] && !x.Varies {
			r.t.Errorf("%s: exchange %d (%s) is as recorded, or isn't compared: take it out", exceptionsFile, at, x.Request)
		}
	}
	return known
}
