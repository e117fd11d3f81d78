package rest_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What varies from run to run is made the same before answers are compared.
var varying = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`transient_transient_\w+_\d+_\d+`), "transient_N"},
	{regexp.MustCompile(`transient_(\w+?)_-?\d+`), "transient_${1}_N"},
	{regexp.MustCompile(`query_\d+`), "query_N"},
	{regexp.MustCompile(`((?:C[ST]AS|CST)_\w+?)_\d+`), "${1}_N"},
	{regexp.MustCompile(`INSERTQUERY_\d+`), "INSERTQUERY_N"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "HOST"},
}

// ignored members hold times and numbers of the run.
var ignored = map[string]bool{"commandSequenceNumber": true, "kafkaClusterId": true, "kafka-cluster": true, "lastStatusUpdateMs": true, "updateTimeMs": true,
	"logStartOffset": true, "logEndOffset": true, "consumerOffset": true, "endOffset": true, "committedOffset": true,
	"currentOffsetPosition": true, "endOffsetPosition": true}

var figure = regexp.MustCompile(`: +[-\d.T:Z]+`)

// varies tells what a member holds that varies, if that is all it holds.
func varies(name string, v any) bool {
	_, number := v.(json.Number)
	return ignored[name] || number && (name == "timestamp" || name == "value")
}

func normalText(s string) string {
	for _, v := range varying {
		s = v.what.ReplaceAllString(s, v.with)
	}
	return s
}

// normal is a JSON value without what varies.
func normal(v any) any {
	switch v := v.(type) {
	case string:
		return normalText(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if text, ok := x.(string); ok && (k == "statistics" || k == "errorStats") {
				x = figure.ReplaceAllString(text, ": N")
			}
			if !varies(k, x) {
				out[normalText(k)] = normal(x)
			}
		}
		// A slow command was recorded as under way.
		if out["status"] == "EXECUTING" || out["status"] == "SUCCESS" && out["queryId"] == nil {
			if m, ok := out["message"].(string); ok && out["status"] == "EXECUTING" {
				out["message"], out["status"] = "(slow) "+m, "SUCCESS"
			}
		}
		for _, list := range []string{"streams", "tables", "queries", "topics", "functions", "sourceDescriptions", "queryDescriptions", "readQueries",
			"writeQueries", "sourceConstraints", "defaultProperties", "properties", "variables", "sources", "queryOffsetSummaries", "topicSummaries", "tasksMetadata", "topicOffsets",
			"activePartitions", "activeStores"} {
			if items, ok := out[list].([]any); ok {
				sort.SliceStable(items, func(i, j int) bool { return nameOf(items[i])+text(items[i]) < nameOf(items[j])+text(items[j]) })
			}
		}
		return out
	}
	return v
}

func text(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// compareBodies says in what two bodies differ, or "". among: the recorded server
// had other sources and queries besides.
func compareBodies(got, want string, among bool) string {
	g, gok := parseBody(got)
	w, wok := parseBody(want)
	if !gok || !wok {
		return comparePrinted(strings.Split(got, "\n"), strings.Split(want, "\n"))
	}
	if rowsOf(w) {
		return compareRows(g, w)
	}
	if len(g) != len(w) {
		return fmt.Sprintf(" got: %s\nwant: %s", got, want)
	}
	for i := range g {
		a, b := normal(g[i]), normal(w[i])
		forgive(a, b, among)
		if d := firstDifference("", a, b); d != "" {
			return d
		}
	}
	return ""
}

// parseBody reads one JSON document, or one a line.
func parseBody(s string) ([]any, bool) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, `[{"header"`) { // a stream that was left open has no end
		s = strings.TrimSuffix(s, ",")
		if !strings.HasSuffix(s, "]") {
			s += "]"
		}
	}
	dec := json.NewDecoder(strings.NewReader(s))
	dec.UseNumber()
	var out []any
	for {
		var v any
		err := dec.Decode(&v)
		if err != nil {
			break
		}
		out = append(out, v)
	}
	if len(out) == 0 || dec.InputOffset() < int64(len(s)) {
		return nil, s == ""
	}
	if list, ok := out[0].([]any); ok && len(out) == 1 {
		return list, true
	}
	return out, true
}

// rowsOf tells whether a body holds the rows of a query.
func rowsOf(docs []any) bool {
	if len(docs) == 0 {
		return false
	}
	first, ok := docs[0].(map[string]any)
	if !ok {
		return false
	}
	_, header := first["header"]
	_, id := first["columnNames"]
	return header || id
}

// compareRows compares the heads, and the rows in any order: they come from
// several partitions.
func compareRows(got, want []any) string {
	if len(got) == 0 || text(normal(got[0])) != text(normal(want[0])) {
		return fmt.Sprintf(" got: %s\nwant: %s", text(got), text(want))
	}
	sorted := func(docs []any) []string {
		var out []string
		for _, d := range docs[1:] {
			out = append(out, text(d))
		}
		sort.Strings(out)
		return out
	}
	if g, w := sorted(got), sorted(want); !slices.Equal(g, w) {
		return fmt.Sprintf(" got: %s\nwant: %s", strings.Join(g, "\n      "), strings.Join(w, "\n      "))
	}
	return ""
}

var partition = regexp.MustCompile(`, partition: (\d+)$`)

// comparePrinted compares what PRINT wrote. Which partition comes first varies, and
// so does, with a LIMIT, how many records there are of each; an empty line says
// that time passes.
func comparePrinted(got, want []string) string {
	byPartition := func(lines []string) map[string][]string {
		out := map[string][]string{}
		for _, l := range lines {
			if strings.TrimSpace(l) == "" {
				continue
			}
			p := ""
			if m := partition.FindStringSubmatch(l); m != nil {
				p = m[1]
			}
			out[p] = append(out[p], normalText(l))
		}
		return out
	}
	count := func(m map[string][]string) (n int) {
		for _, l := range m {
			n += len(l)
		}
		return n
	}
	g, w := byPartition(got), byPartition(want)
	same := count(g) == count(w)
	for p, lines := range w {
		n := min(len(lines), len(g[p]))
		if p == "" {
			n = max(len(lines), len(g[p]))
		}
		same = same && n <= len(lines) && n <= len(g[p]) && slices.Equal(lines[:n], g[p][:n])
	}
	if same {
		return ""
	}
	return fmt.Sprintf(" got: %s\nwant: %s", strings.Join(got, "\n      "), strings.Join(want, "\n      "))
}

// compareMessages compares the messages of a websocket: columns, rows in any order
// or lines of PRINT, and the last.
func compareMessages(got, want []string) string {
	printed := func(list []string) (lines, others []string) {
		for _, m := range list {
			var line string
			if json.Unmarshal([]byte(m), &line) == nil {
				lines = append(lines, line)
			} else {
				others = append(others, m)
			}
		}
		return lines, others
	}
	gl, gm := printed(got)
	wl, wm := printed(want)
	if d := comparePrinted(gl, wl); d != "" {
		return d
	}
	sort.Strings(gm)
	sort.Strings(wm)
	if slices.Equal(gm, wm) {
		return ""
	}
	return fmt.Sprintf(" got: %s\nwant: %s", strings.Join(gm, "\n      "), strings.Join(wm, "\n      "))
}

// forgive makes the same what is allowed to differ.
func forgive(got, want any, among bool) {
	g, gok := got.(map[string]any)
	w, wok := want.(map[string]any)
	if !gok || !wok {
		return
	}
	if status, ok := w["commandStatus"].(map[string]any); ok {
		if m, _ := status["message"].(string); strings.HasPrefix(m, "(slow)") {
			w["commandStatus"] = g["commandStatus"]
		}
	}
	for _, list := range []string{"streams", "tables", "queries", "topics", "sourceDescriptions", "queryDescriptions"} {
		gi, gok := g[list].([]any)
		wi, wok := w[list].([]any)
		if !gok || !wok {
			continue
		}
		own := func(v any) bool {
			name, _ := v.(map[string]any)["name"].(string)
			return strings.HasPrefix(name, "_sidestream-") || strings.HasSuffix(name, "_command_topic")
		}
		gi, wi = slices.DeleteFunc(gi, own), slices.DeleteFunc(wi, own)
		if among { // those that other scenarios made
			mine := map[string]bool{}
			for _, x := range gi {
				mine[nameOf(x)] = true
			}
			wi = slices.DeleteFunc(wi, func(v any) bool { return !mine[nameOf(v)] })
		}
		g[list], w[list] = gi, wi
	}
	forgiveEmpty(g, w)
}

// forgiveEmpty takes out the numbers that one side had none of yet.
func forgiveEmpty(got, want any) {
	if g, ok := got.([]any); ok {
		if w, ok := want.([]any); ok && len(g) == len(w) {
			for i := range g {
				forgiveEmpty(g[i], w[i])
			}
		}
		return
	}
	g, gok := got.(map[string]any)
	w, wok := want.(map[string]any)
	if !gok || !wok {
		return
	}
	for k := range w {
		switch k {
		case "clusterStatistics", "clusterErrorStats", "topicSummaries", "statistics", "errorStats":
			if empty(g[k]) || empty(w[k]) {
				delete(g, k)
				delete(w, k)
			}
		default:
			forgiveEmpty(g[k], w[k])
		}
	}
}

func empty(v any) bool {
	list, ok := v.([]any)
	return v == "" || ok && len(list) == 0
}

func nameOf(v any) string {
	m, _ := v.(map[string]any)
	for _, k := range []string{"name", "id", "groupId"} {
		if s, ok := m[k].(string); ok {
			return s
		}
	}
	return text(v)
}

// firstDifference tells the place where two JSON values differ.
func firstDifference(at string, got, want any) string {
	if reflect.DeepEqual(got, want) {
		return ""
	}
	g, gok := got.(map[string]any)
	w, wok := want.(map[string]any)
	if gok && wok {
		keys := map[string]bool{}
		for k := range g {
			keys[k] = true
		}
		for k := range w {
			keys[k] = true
		}
		var all []string
		for k := range keys {
			a, inG := g[k]
			b, inW := w[k]
			switch {
			case inG != inW:
				all = append(all, fmt.Sprintf("%s.%s:\n  got %s\n want %s", at, k, text(a), text(b)))
			default:
				if d := firstDifference(at+"."+k, a, b); d != "" {
					all = append(all, d)
				}
			}
		}
		sort.Strings(all)
		return strings.Join(all, "\n")
	}
	gl, gok := got.([]any)
	wl, wok := want.([]any)
	if gok && wok && len(gl) == len(wl) {
		for i := range gl {
			if d := firstDifference(fmt.Sprintf("%s[%d]", at, i), gl[i], wl[i]); d != "" {
				return d
			}
		}
	}
	return fmt.Sprintf("%s:\n  got %s\n want %s", at, text(got), text(want))
}

// compareRecords compares topics partition by partition. Of one that was recorded
// through a cache, only the last record of each key is the same.
func compareRecords(got []*kgo.Record, want []recorded, coalesced bool) string {
	g, w := []string{}, []string{}
	for _, r := range got {
		g = append(g, lineOf(r.Partition, keyText(r.Key), valueText(r.Value), r.Timestamp.UnixMilli(), headerText(r.Headers)))
	}
	for _, r := range want {
		var headers []kgo.RecordHeader
		for _, h := range r.Headers {
			headers = append(headers, kgo.RecordHeader{Key: fmt.Sprint(h[0]), Value: []byte(fmt.Sprint(h[1]))})
		}
		w = append(w, lineOf(r.P, recordedText(r.Key), recordedText(r.Value), r.TS, headerText(headers)))
	}
	if coalesced {
		g, w = lastOfKey(g), lastOfKey(w)
	}
	if slices.Equal(byKey(g), byKey(w)) {
		return ""
	}
	return fmt.Sprintf(" got: %s\nwant: %s", strings.Join(g, "\n      "), strings.Join(w, "\n      "))
}

// byKey keeps the order of the records of each key in a partition: that of
// different keys may come from different partitions of the input.
func byKey(lines []string) []string {
	out := slices.Clone(lines)
	sort.SliceStable(out, func(i, j int) bool {
		a, b := keyPart(out[i]), keyPart(out[j])
		if a == b && strings.HasPrefix(a, "-1 |") {
			return out[i] < out[j]
		}
		return a < b
	})
	return out
}

func keyPart(line string) string {
	parts := strings.SplitN(line, " | ", 3)
	return parts[0] + " | " + parts[1]
}

// lineOf shows a record. One without a key goes to any partition, and one that was
// stamped when it was written has any time.
func lineOf(p int32, key, value string, ts int64, headers string) string {
	if key == "null" {
		p = -1
	}
	if ts > 1_790_000_000_000 {
		ts = 0
	}
	return fmt.Sprintf("%d | %s | %s | %d%s", p, key, value, ts, headers)
}

func lastOfKey(lines []string) []string {
	last := map[string]string{}
	for _, l := range lines {
		last[keyPart(l)] = l
	}
	out := []string{}
	for _, l := range last {
		out = append(out, l)
	}
	sort.Strings(out)
	return out
}

func headerText(hs []kgo.RecordHeader) string {
	var b strings.Builder
	for _, h := range hs {
		fmt.Fprintf(&b, " %s=%s", h.Key, h.Value)
	}
	return b.String()
}

func keyText(b []byte) string   { return bytesText(b) }
func valueText(b []byte) string { return bytesText(b) }

// bytesText is text, or hex as the recording has it where it is none.
func bytesText(b []byte) string {
	if b == nil {
		return "null"
	}
	for _, c := range bytes.Runes(b) {
		if c < ' ' && c != '\n' && c != '\t' || c == 0xFFFD {
			return "0x" + hex.EncodeToString(b)
		}
	}
	return string(b)
}

func recordedText(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return v
	case map[string]any:
		if h, ok := v["hex"].(string); ok {
			b, _ := hex.DecodeString(h)
			return bytesText(b)
		}
	}
	return text(v)
}
