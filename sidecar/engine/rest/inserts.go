package rest

import (
	"bufio"
	"bytes"
	"context"
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

const (
	maxRow = 4 << 20
	// maxUnacknowledged is how many rows may be on their way: a client that doesn't
	// read its acknowledgements is read no further.
	maxUnacknowledged = 4096
)

// insertsStream is POST /inserts-stream: the target, then a row a line, and an
// acknowledgement for each as it is written.
//
// Rows that arrive together are looked at together, as ksqlDB does. When one of
// them is bad the stream ends with what is wrong with it, in the place of their
// acknowledgements; the good ones among them are written all the same.
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
	in, err := s.insertTarget(lines)
	if err != nil {
		s.fail(w, err, "")
		return
	}
	contentType(w, "")
	rc := http.NewResponseController(w)
	_ = rc.Flush() // the client may wait for the status before it sends rows
	a := newAcks(w, rc, media != mediaDelimited)
	for {
		batch, end := readBatch(lines)
		seq, err := a.insert(r.Context(), in, batch)
		if err == nil && end != nil && !errors.Is(end, io.EOF) {
			seq, err = a.seq, end
		}
		if err != nil || end != nil || a.over() {
			a.finish(seq, err)
			s.stats.inserted(a.seq)
			return
		}
	}
}

// insertTarget reads the first line.
func (s *Server) insertTarget(lines *bufio.Reader) (*engine.Inserter, error) {
	first, err := readLine(lines)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var args struct {
		Target     *string    `json:"target"`
		Properties properties `json:"properties"`
	}
	const entity = entityPackage + "InsertsStreamArgs"
	if err := decode(first, &args, entity); err != nil {
		return nil, err
	}
	if args.Target == nil {
		return nil, missing(first, entity, "target")
	}
	return s.engine.Inserter(*args.Target, args.Properties.values())
}

// readBatch waits for a line and reads those that have come with it. The error is
// why there are no more.
func readBatch(r *bufio.Reader) (batch [][]byte, err error) {
	for {
		line, err := readLine(r)
		if len(line) > 0 {
			batch = append(batch, line)
		}
		if err != nil {
			return batch, err
		}
		here, _ := r.Peek(r.Buffered())
		if bytes.IndexByte(here, '\n') < 0 {
			return batch, nil
		}
	}
}

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

// acks writes acknowledgements in the order of the rows, in a goroutine of its
// own: the one that tells that a row is written must not wait for the client.
type acks struct {
	out     *bufio.Writer
	flush   func() error
	asArray bool
	started bool
	seq     int64 // of the next row
	// answered is the next row to answer; the writing goroutine's own.
	answered int64
	free     chan struct{} // holds the rows on their way

	mu     sync.Mutex
	done   map[int64]error // rows that are written or can't be, not yet answered
	next   int64           // the first row that isn't answered
	total  int64           // where the stream ends; -1 while rows come
	failed bool
	moved  chan struct{} // something of the above has changed
	ended  chan struct{} // all is answered
}

func newAcks(w io.Writer, rc *http.ResponseController, asArray bool) *acks {
	a := &acks{out: bufio.NewWriter(w), asArray: asArray, done: map[int64]error{}, total: -1,
		free: make(chan struct{}, maxUnacknowledged), moved: make(chan struct{}, 1), ended: make(chan struct{})}
	a.flush = func() error {
		if err := a.out.Flush(); err != nil {
			return err
		}
		return rc.Flush()
	}
	go a.run()
	return a
}

// insert sends the rows of a batch on their way. The error is what is wrong with
// the row of the number before it.
func (a *acks) insert(ctx context.Context, in *engine.Inserter, batch [][]byte) (seq int64, bad error) {
	for i, line := range batch {
		if bad = engine.ValidRow(line); bad != nil {
			seq, batch = a.seq+int64(i), batch[:i]
			break
		}
	}
	rows := make([]*engine.InsertRow, 0, len(batch))
	for i, line := range batch {
		row, err := in.Row(line)
		if err == nil {
			rows = append(rows, row)
		} else if bad == nil {
			seq, bad = a.seq+int64(i), err
		}
	}
	if bad != nil {
		var written sync.WaitGroup
		for _, row := range rows {
			written.Add(1)
			in.Send(ctx, row, func(error) { written.Done() })
		}
		written.Wait()
		return seq, bad
	}
	for _, row := range rows {
		select {
		case a.free <- struct{}{}:
		case <-ctx.Done():
			return a.seq, ctx.Err()
		}
		seq := a.seq
		a.seq++
		in.Send(ctx, row, func(err error) { a.finished(seq, err) })
	}
	return 0, nil
}

// finished notes what became of a row.
func (a *acks) finished(seq int64, err error) {
	a.mu.Lock()
	a.done[seq] = err
	a.mu.Unlock()
	a.wake()
}

func (a *acks) wake() {
	select {
	case a.moved <- struct{}{}:
	default:
	}
}

// over tells that a row could not be written, or its answer not be sent.
func (a *acks) over() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

// run answers rows until all are.
func (a *acks) run() {
	defer close(a.ended)
	for range a.moved {
		due, failed, last := a.due()
		if !failed {
			for _, err := range due {
				if failed = a.answer(err); failed {
					break
				}
			}
			if a.flush() != nil || failed {
				a.mu.Lock()
				a.failed = true
				a.mu.Unlock()
			}
		}
		for range due {
			<-a.free
		}
		if last {
			return
		}
	}
}

// due takes the results that can be answered now.
func (a *acks) due() (due []error, failed, last bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		err, ok := a.done[a.next]
		if !ok {
			return due, a.failed, a.next == a.total
		}
		delete(a.done, a.next)
		due = append(due, err)
		a.next++
	}
}

// answer writes the answer to the next row and tells whether it is the last, an
// error.
func (a *acks) answer(err error) (failed bool) {
	seq := a.answered
	a.answered++
	if err != nil {
		a.write(marshal(errorOf(seq, err)))
		return true
	}
	a.write(append(append([]byte(`{"seq":`), strconv.FormatInt(seq, 10)...), `,"status":"ok"}`...))
	return false
}

func errorOf(seq int64, err error) insertError {
	e := asEngineError(err)
	return insertError{"InsertError", "error", seq, e.Message, e.Code}
}

func (a *acks) write(b []byte) {
	switch {
	case !a.asArray:
		_, _ = a.out.Write(append(b, '\n'))
		return
	case a.started:
		_ = a.out.WriteByte(',')
	default:
		_ = a.out.WriteByte('[')
	}
	a.started = true
	_, _ = a.out.Write(b)
}

// finish waits until all rows are answered, and ends the answer: with err in the
// place of the row of that number, if there is one.
func (a *acks) finish(seq int64, err error) {
	a.mu.Lock()
	a.total = a.seq
	a.mu.Unlock()
	a.wake()
	<-a.ended
	if err != nil && !a.over() {
		a.write(marshal(errorOf(seq, err)))
	}
	if a.asArray {
		if !a.started {
			_ = a.out.WriteByte('[')
		}
		_ = a.out.WriteByte(']')
	}
	_ = a.flush()
}
