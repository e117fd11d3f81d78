package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// The media types of answers with rows.
const (
	mediaRows  = "application/vnd.ksql.v1+json"
	mediaProto = "application/vnd.ksql.v1+protobuf"
)

// isPush tells the queries whose answers don't end by themselves.
var isPush = regexp.MustCompile(`(?is)\sEMIT\s+(CHANGES|FINAL)\b`)

// item is a part of a query's answer: a header, a row or the final message.
type item = map[string]json.RawMessage

// query sends a query, and compares its answer with the next response. done: the
// case ends here, with the error that it expects.
func (r *restRun) query(ctx context.Context, sql string) (done bool, err error) {
	if isPush.MatchString(sql) {
		return r.push(ctx, sql)
	}
	want, err := r.next("query")
	if err != nil {
		return false, err
	}
	// What comes late is waited for, and no longer than that.
	deadline := time.Now().Add(rowPatience)
	for {
		var a answer
		a, err = r.s.ask(ctx, "/query", mediaRows, r.body(sql))
		if err != nil {
			return false, err
		}
		if done, err := r.refused(a); done || err != nil {
			return done, err
		}
		got, err := items(a.body)
		if err != nil {
			return false, err
		}
		before := len(r.found)
		if err := r.items(sql, want, got); err != nil {
			return false, err
		}
		if len(r.found) == before {
			return false, nil
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		r.found = r.found[:before]
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *restRun) body(sql string) map[string]any {
	return map[string]any{"ksql": sql, "streamsProperties": r.properties}
}

// next takes the next response of the case, nil when the case has none left, as
// those that expect an error.
func (r *restRun) next(kind string) ([]item, error) {
	if len(r.responses) == 0 {
		return nil, nil
	}
	raw := r.responses[0][kind]
	if raw == nil {
		return nil, fmt.Errorf("the case's next response is no %s", kind)
	}
	r.responses = r.responses[1:]
	var out []item
	err := json.Unmarshal(raw, &out)
	return out, err
}

// items takes an answer of /query apart.
func items(body []byte) ([]item, error) {
	var out []item
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("/query answers %q: %w", body, err)
	}
	return out, nil
}

// push sends a push query, and reads as many rows as are expected, or to its end.
func (r *restRun) push(ctx context.Context, sql string) (done bool, err error) {
	want, err := r.next("query")
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, restPatience/2)
	defer cancel()
	resp, err := r.s.post(ctx, "/query", mediaRows, r.body(sql))
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			return false, err
		}
		return r.refused(answer{resp.StatusCode, data})
	}
	if r.c.ExpectedError != nil {
		return false, nil // told by run
	}
	var got []item
	answer := json.NewDecoder(resp.Body)
	if _, err := answer.Token(); err != nil {
		return false, err
	}
	for len(got) < len(want) && answer.More() {
		var it item
		if err := answer.Decode(&it); err != nil {
			return false, fmt.Errorf("/query: %w", err)
		}
		if got = append(got, it); len(got) == 1 && r.c.InputConditions.WaitForActivePushQuery {
			if err := r.produce(ctx); err != nil {
				return false, err
			}
		}
	}
	return false, r.items(sql, want, got)
}

// items compares the parts of an answer: the header and the final message as they
// stand, the rows in any order unless the case says otherwise.
func (r *restRun) items(sql string, want, got []item) error {
	wantRows, wantRest := split(want)
	gotRows, gotRest := split(got)
	field := strings.TrimSpace(sql)
	for i := range max(len(wantRest), len(gotRest)) {
		switch {
		case i >= len(gotRest):
			r.found.text(field, compact(wantRest[i]), "nothing")
		case i >= len(wantRest):
			r.found.text(field, "nothing", compact(gotRest[i]))
		default:
			if err := r.part(field, wantRest[i], gotRest[i]); err != nil {
				return err
			}
		}
	}
	if len(wantRows) != len(gotRows) {
		r.found.text(field, fmt.Sprintf("%d rows", len(wantRows)), fmt.Sprintf("%d rows: %s", len(gotRows), compactAll(gotRows)))
		return nil
	}
	if r.c.OutputConditions.VerifyOrder {
		for i := range wantRows {
			if err := r.part(fmt.Sprintf("%s row %d", field, i), wantRows[i], gotRows[i]); err != nil {
				return err
			}
		}
		return nil
	}
	return r.anyOrder(field, wantRows, gotRows)
}

// anyOrder finds a partner for every row.
func (r *restRun) anyOrder(field string, want, got []item) error {
	left := append([]item(nil), got...)
	var lonely []item
	for _, w := range want {
		at := -1
		for i, g := range left {
			before := len(r.found)
			if err := r.part(field, w, g); err != nil {
				return err
			}
			if len(r.found) == before {
				at = i
				break
			}
			r.found = r.found[:before]
		}
		if at < 0 {
			lonely = append(lonely, w)
			continue
		}
		left = append(left[:at:at], left[at+1:]...)
	}
	for i, w := range lonely {
		if err := r.part(field+" row", w, left[i]); err != nil {
			return err
		}
	}
	return nil
}

// part compares one header, row or message.
func (r *restRun) part(field string, want, got item) error {
	for kind, w := range want {
		var members map[string]json.RawMessage
		if json.Unmarshal(w, &members) != nil { // a final message
			a, err := expected(w)
			if err != nil {
				return err
			}
			b, err := jsonTree(got[kind])
			if err != nil {
				return err
			}
			cmp := comparer{}
			cmp.compare(a, b, field+"."+kind)
			r.found = append(r.found, cmp.found...)
			continue
		}
		var have map[string]json.RawMessage
		if err := json.Unmarshal(got[kind], &have); err != nil {
			r.found.text(field+"."+kind, string(w), compact(got))
			continue
		}
		if err := r.listed(field+"."+kind, w, have); err != nil {
			return err
		}
	}
	return nil
}

// split parts rows from what is around them.
func split(all []item) (rows, rest []item) {
	for _, it := range all {
		if it["row"] != nil {
			rows = append(rows, it)
		} else {
			rest = append(rest, it)
		}
	}
	return rows, rest
}

func compact(it item) string {
	data, err := json.Marshal(it)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func compactAll(list []item) string {
	parts := make([]string, 0, len(list))
	for _, it := range list[:min(len(list), enough)] {
		parts = append(parts, compact(it))
	}
	return strings.Join(parts, " ")
}

// proto asks the query again, for rows as Protobuf messages.
func (r *restRun) proto(ctx context.Context, sql string) error {
	want, err := r.next("queryProto")
	if err != nil {
		return err
	}
	a, err := r.s.ask(ctx, "/query-stream", mediaProto, map[string]any{"sql": sql, "properties": r.properties})
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("rows as Protobuf: status %d: %s", a.status, a.body)
	}
	got, err := items(a.body)
	if err != nil {
		return err
	}
	return r.protoItems(sql+" as Protobuf", want, got)
}
