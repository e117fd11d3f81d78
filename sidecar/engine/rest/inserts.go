package rest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/sidestream/sidestream/sidecar/engine"
)

// insertError is the last thing of an inserts stream that failed.
type insertError struct {
	Type    string `json:"@type"` // InsertError
	Status  string `json:"status"`
	Seq     int64  `json:"seq"`
	Message string `json:"message"`
	Code    int    `json:"error_code"`
}

// acks writes acknowledgements in the order of the rows.
type acks struct {
	mu      sync.Mutex
	out     *bufio.Writer
	flush   func() error
	asArray bool
	written int
	next    int64
	done    map[int64]error // written to Kafka, but behind one that is not
	failed  bool
	sent    chan struct{} // closed when rows up to total are answered
	total   int64         // -1 while rows come
}

func (a *acks) write(b []byte) {
	if a.asArray {
		sep := byte(',')
		if a.written == 0 {
			sep = '['
		}
		_ = a.out.WriteByte(sep)
	}
	_, _ = a.out.Write(b)
	if !a.asArray {
		_ = a.out.WriteByte('\n')
	}
	a.written++
}

// finished notes what became of a row and writes the answers that are due.
func (a *acks) finished(seq int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done[seq] = err
	for {
		err, ok := a.done[a.next]
		if !ok {
			break
		}
		delete(a.done, a.next)
		if !a.failed {
			if err != nil {
				a.failed = true
				e := asEngineError(err)
				a.write(marshal(insertError{"InsertError", "error", a.next, e.Message, e.Code}))
			} else {
				a.write(append(append([]byte(`{"seq":`), strconv.FormatInt(a.next, 10)...), `,"status":"ok"}`...))
			}
		}
		a.next++
	}
	if len(a.done) == 0 {
		_ = a.flush()
	}
	if a.next == a.total {
		close(a.sent)
	}
}

// end waits until total rows are answered.
func (a *acks) end(total int64) {
	a.mu.Lock()
	a.total = total
	reached := a.next == total
	a.mu.Unlock()
	if !reached {
		<-a.sent
	}
	if a.asArray {
		if a.written == 0 {
			_ = a.out.WriteByte('[')
		}
		_ = a.out.WriteByte(']')
	}
	_ = a.flush()
}

// insertsStream is POST /inserts-stream: the target, then a row a line, and an
// acknowledgement for each as it is written. A bad row ends the stream.
func (s *Server) insertsStream(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 {
		s.fail(w, &engine.Error{Status: http.StatusBadRequest, Code: engine.CodeHTTP2Only, Message: "This endpoint is only available when using HTTP2"}, "")
		return
	}
	media, ok := negotiate(r, mediaDelimited, mediaJSON, mediaV1)
	if !ok {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	lines := bufio.NewReaderSize(r.Body, 64<<10)
	first, err := readLine(lines)
	if err != nil && !errors.Is(err, io.EOF) {
		s.fail(w, err, "")
		return
	}
	var args struct {
		Target     *string        `json:"target"`
		Properties map[string]any `json:"properties"`
	}
	const entity = entityPackage + "InsertsStreamArgs"
	err = decode(first, &args, entity)
	if err == nil && args.Target == nil {
		err = missing(first, entity, "target")
	}
	var in *engine.Inserter
	if err == nil {
		in, err = s.engine.Inserter(*args.Target, args.Properties)
	}
	if err != nil {
		s.fail(w, err, "")
		return
	}
	contentType(w, "")
	rc := http.NewResponseController(w)
	a := &acks{out: bufio.NewWriter(w), asArray: media != mediaDelimited, done: map[int64]error{}, sent: make(chan struct{}), total: -1}
	a.flush = func() error {
		if err := a.out.Flush(); err != nil {
			return err
		}
		return rc.Flush()
	}
	rc.Flush() // the client may wait for the status before it sends rows
	seq := int64(0)
	for {
		line, err := readLine(lines)
		if len(line) > 0 {
			n := seq
			seq++
			if bad := in.Insert(r.Context(), line, func(err error) { a.finished(n, err) }); bad != nil {
				a.finished(n, bad)
				break
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && r.Context().Err() == nil {
				n := seq
				seq++
				a.finished(n, err)
			}
			break
		}
	}
	a.end(seq)
	s.stats.inserted(seq)
}

const maxRow = 4 << 20

// readLine reads a line without its end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxRow {
			return nil, engine.BadRequest("A row is larger than %d bytes", maxRow)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSpace(line), err
		}
	}
}
