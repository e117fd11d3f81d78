package rest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
)

// goldenPrelude are the scenarios whose statements and records one builds on.
var goldenPrelude = map[string][]string{
	"a03": {"a02"}, "b01": {"b00"}, "b02": {"b00"}, "b04": {"b00"}, "b05": {"b00"}, "b06": {"b00"}, "b07": {"b00", "b03"},
	"c01": {"c00"}, "c02": {"c00", "c01"}, "c06": {"c04"}, "c15": {"c14"},
}

// goldenPass are the scenarios that must replay to the last answer and record.
// Those left out are replayed and reported: -v shows in what they differ.
var goldenPass = []string{"a01", "a02", "b00", "c00", "c01", "c02", "c03", "c04", "c05", "c06", "c07", "c08", "c09", "c11", "c12", "c14", "d01"}

// goldenKnown are answers of scenarios above that differ for a reason, by a part
// of the request.
var goldenKnown = map[string]map[string]string{
	"c12": {"c||'!'": "7.9.5 can't, though its documentation has it"},
	"d01": {
		"EXPLAIN CTAS_ORDER_CUSTOMER": "a join by foreign key runs as one task",
		"SHOW ALL TOPICS":             "and so has no topics between its halves",
	},
}

// TestGolden replays the exchanges that were recorded from a real ksqlDB, and
// wants the same answers and the same records on every topic.
func TestGolden(t *testing.T) {
	files, _ := filepath.Glob("../../../../shared/golden/*.json")
	if len(files) == 0 {
		t.Skip("the recordings of a real server (../shared/golden beside the repository) aren't here")
	}
	only := os.Getenv("GOLDEN") // a scenario's letter and number
	must := map[string]bool{}
	for _, name := range goldenPass {
		must[name] = true
	}
	var mu sync.Mutex
	var report []string
	t.Cleanup(func() {
		sort.Strings(report)
		t.Logf("golden scenarios:\n%s", strings.Join(report, "\n"))
	})
	for _, file := range files {
		name := strings.SplitN(filepath.Base(file), "_", 2)[0]
		if only != "" && name != only || only == "" && testing.Short() && !must[name] {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait more than they work
			r := newReplay(t)
			for _, before := range goldenPrelude[name] {
				r.run(scenarioFile(t, files, before), false)
			}
			r.run(file, true)
			mu.Lock()
			report = append(report, fmt.Sprintf("%s: %d of %d as recorded", name, r.compared-len(r.differences), r.compared))
			mu.Unlock()
			for _, d := range r.differences {
				known := ""
				for part, why := range goldenKnown[name] {
					if strings.Contains(d.request, part) {
						known = why
					}
				}
				switch {
				case must[name] && known == "":
					t.Errorf("%s\n%s", d.request, d.text)
				case known != "":
					t.Logf("known (%s): %s", known, d.request)
				default:
					t.Logf("%s\n%s", d.request, d.text)
				}
			}
		})
	}
}

func scenarioFile(t *testing.T, files []string, name string) string {
	for _, f := range files {
		if strings.HasPrefix(filepath.Base(f), name+"_") {
			return f
		}
	}
	t.Fatalf("no recording %s", name)
	return ""
}
