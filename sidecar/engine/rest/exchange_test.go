package rest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/coder/websocket"
)

var word = regexp.MustCompile(`\w+`)

// here is a recorded text with the ids that queries have here.
func (r *replay) here(text string) string {
	return word.ReplaceAllStringFunc(text, func(w string) string {
		if id, ok := r.ids[w]; ok {
			return id
		}
		return w
	})
}

// request sends a recorded request and compares the answer.
func (r *replay) request(x *exchange) {
	body := ""
	if x.Request.Body != nil {
		body = r.here(*x.Request.Body)
	}
	r.noteCache(body)
	r.settle()
	what := x.Request.Method + " " + x.Request.Path + " " + body
	status, headers, answer, err := r.send(x, body)
	if err != nil {
		r.compared++
		r.differ(what, "%v", err)
		return
	}
	r.noteIDs(answer, x.Response.Body)
	if !r.compare {
		if status != x.Response.Status {
			r.t.Logf("not compared: %s\n\tanswered %d %s\n\twas %d %s", what, status, answer, x.Response.Status, x.Response.Body)
		}
		return
	}
	r.compared++
	if status != x.Response.Status {
		r.differ(what, "status %d, recorded %d\n got: %s\nwant: %s", status, x.Response.Status, answer, x.Response.Body)
		return
	}
	want := ""
	for _, h := range x.Response.Headers {
		if h[0] == "content-type" {
			want = h[1]
		}
	}
	if got := headers.Get("Content-Type"); got != want {
		r.differ(what, "content type %q, recorded %q", got, want)
		return
	}
	if d := compareBodies(answer, x.Response.Body, !r.alone); d != "" {
		r.differ(what, "%s", d)
	}
}

// send sends the request. Of a stream that was left open in the recording it
// reads as many lines as were recorded.
func (r *replay) send(x *exchange, body string) (int, http.Header, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, x.Request.Method, r.server.url+x.Request.Path, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	if x.Request.Body == nil {
		req.Body, req.ContentLength = nil, 0
	}
	for _, h := range []string{"accept", "content-type"} {
		if v, ok := x.Request.Headers[h]; ok {
			req.Header.Set(h, v)
		}
	}
	cl := r.http1
	if x.Request.HTTP == "2" {
		cl = r.http2
	}
	resp, err := cl.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	if !strings.HasPrefix(x.Response.Ended, "client closed") {
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header, string(b), err
	}
	want := strings.Count(strings.TrimRight(x.Response.Body, "\n"), "\n") + 1
	last := byte('\n')
	if strings.HasPrefix(x.Response.Body, "[") { // a row ends where the next begins
		last = '}'
		want = strings.Count(x.Response.Body, "}}")
	}
	timer := time.AfterFunc(4*time.Second, cancel)
	defer timer.Stop()
	return resp.StatusCode, resp.Header, readLines(bufio.NewReader(resp.Body), last, want), nil
}

// readLines reads n lines that aren't empty, or those that come until ctx ends. Where
// they end with a brace, it takes two.
func readLines(body *bufio.Reader, last byte, n int) string {
	var out strings.Builder
	for n > 0 {
		line, err := body.ReadString(last)
		out.WriteString(line)
		if strings.TrimSpace(line) != "" && (last != '}' || strings.HasSuffix(out.String(), "}}")) {
			n--
		}
		if err != nil {
			break
		}
	}
	return out.String()
}

var openQuery = regexp.MustCompile(`"queryId":"(transient_(\w+?)_-?\d+)","columnNames":\[([^\]]*)\]`)

// closeQuery opens the query that the recording closes, closes it, and compares
// what was sent until then.
func (r *replay) closeQuery(x *exchange, raw string) {
	raw = strings.ReplaceAll(raw, "\r\n", "\n")
	head, rows, _ := strings.Cut(raw, "\n\n")
	m := openQuery.FindStringSubmatch(rows)
	if m == nil {
		r.t.Fatalf("the recording at %d isn't of an open query: %s", r.at, raw)
	}
	sql := fmt.Sprintf("SELECT %s FROM %s EMIT CHANGES;", strings.ReplaceAll(m[3], `"`, ""), m[2])
	cl := r.http1
	if strings.HasPrefix(head, "HTTP/2") {
		cl = r.http2
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	b, _ := json.Marshal(map[string]any{"sql": sql, "properties": map[string]string{"auto.offset.reset": "earliest"}})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.server.url+"/query-stream", strings.NewReader(string(b)))
	if err != nil {
		r.differ(sql, "%v", err)
		return
	}
	resp, err := cl.Do(req)
	if err != nil {
		r.differ(sql, "%v", err)
		return
	}
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	got := readLines(body, '\n', strings.Count(rows, "\n"))
	r.noteIDs(got, rows)
	r.request(x)
	rest, err := io.ReadAll(body) // until the server ends it
	if !r.compare {
		return
	}
	r.at++
	r.compared++
	gotHead := fmt.Sprintf("%s %d content-type: %s", resp.Proto, resp.StatusCode, resp.Header.Get("Content-Type"))
	wantHead := fmt.Sprintf("%s 200 content-type: application/vnd.ksqlapi.delimited.v1", map[bool]string{true: "HTTP/2.0", false: "HTTP/1.1"}[cl == r.http2])
	if err != nil || gotHead != wantHead {
		r.differ(sql, "%v, %s, want %s", err, gotHead, wantHead)
	}
	if d := compareBodies(got+string(rest), rows, true); d != "" {
		r.differ(sql, "%s", d)
	}
}

// websocket sends a recorded query and compares the messages, and why the socket
// was closed.
func (r *replay) websocket(x *exchange) {
	r.compared++
	r.settle()
	what := "GET /ws/query " + x.WS.Query
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	c, _, err := websocket.Dial(ctx, r.server.url+"/ws/query?request="+url.QueryEscape(r.here(x.WS.Query)), nil)
	if err != nil {
		r.differ(what, "%v", err)
		return
	}
	defer c.CloseNow()
	open := strings.HasPrefix(x.End, "client closed")
	var got []string
	for !open || len(got) < len(x.Messages) {
		_, b, err := c.Read(ctx)
		if err != nil {
			var end websocket.CloseError
			if !errors.As(err, &end) {
				r.differ(what, "%v", err)
			} else if text := fmt.Sprintf("closed code=%d reason=%s", end.Code, end.Reason); text != x.End && !open {
				r.differ(what, "%s, recorded %s", text, x.End)
			}
			break
		}
		got = append(got, string(b))
	}
	if d := compareMessages(got, x.Messages); d != "" {
		r.differ(what, "%s", d)
	}
}

var (
	createAs  = regexp.MustCompile("(?is)CREATE\\s+(?:OR\\s+REPLACE\\s+)?TABLE\\s+(?:IF NOT EXISTS\\s+)?`?(\\w+)`?\\s.*AS\\s+SELECT")
	topicProp = regexp.MustCompile(`(?i)KAFKA_TOPIC\s*=\s*'([^']+)'`)
)

// noteCache notes the topics of tables that were made with the cache on.
func (r *replay) noteCache(body string) {
	var b struct {
		KSQL       string
		Properties map[string]any `json:"streamsProperties"`
	}
	if json.Unmarshal([]byte(body), &b) != nil || b.Properties["ksql.streams.cache.max.bytes.buffering"] == "0" {
		return
	}
	m := createAs.FindStringSubmatch(b.KSQL)
	if m == nil {
		return
	}
	topic := strings.ToUpper(m[1])
	if p := topicProp.FindStringSubmatch(b.KSQL); p != nil {
		topic = p[1]
	}
	r.coalesced[topic] = true
}

var madeQuery = regexp.MustCompile(`(?:Created query with ID |"queryId":")(\w+)`)

// noteIDs notes which query of the recording is which here.
func (r *replay) noteIDs(got, recorded string) {
	g, w := madeQuery.FindAllStringSubmatch(got, -1), madeQuery.FindAllStringSubmatch(recorded, -1)
	if len(g) != len(w) {
		return
	}
	for i := range g {
		if g[i][1] != w[i][1] {
			r.ids[w[i][1]] = g[i][1]
		}
	}
}
