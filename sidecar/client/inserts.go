package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
)

// Ack acknowledges one inserted row.
type Ack struct {
	Seq int64 // of the row, from 0
}

// Inserts is an open stream of rows into a stream or table. One goroutine
// sends, one reads acknowledgements; they may be the same one only if it reads
// now and then, since an unread stream of acknowledgements holds up the server.
type Inserts struct {
	request *io.PipeWriter
	cancel  context.CancelFunc
	started chan struct{} // closed once resp or err is set
	resp    *http.Response
	err     error
}

// Inserts opens a stream of rows to a stream or table over HTTP/2, which
// ksqlDB wants here. That the target doesn't exist shows at the first Send or
// acknowledgement.
func (c *Client) Inserts(ctx context.Context, target string, properties map[string]any) (*Inserts, error) {
	first := map[string]any{"target": target}
	if len(properties) > 0 {
		first["properties"] = properties
	}
	line, err := json.Marshal(first)
	if err != nil {
		return nil, fmt.Errorf("inserts into %s: %w", target, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	s := &Inserts{request: pw, cancel: cancel, started: make(chan struct{})}
	// The server may answer only after the first row, so the request runs on
	// its own; it ends with cancel, which Close calls.
	go func() {
		defer close(s.started)
		//nolint:bodyclose // Close closes it
		s.resp, s.err = c.send(ctx, c.h2c, http.MethodPost, "/inserts-stream", mediaDelimited, pr, mediaDelimited)
		if s.err != nil {
			pr.CloseWithError(s.err) // a blocked Send gets the reason
		}
	}()
	if _, err := pw.Write(append(line, '\n')); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Send sends one row: a map or struct whose JSON object has the columns.
func (s *Inserts) Send(row any) error {
	line, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("inserts: the row can't be written as JSON: %w", err)
	}
	_, err = s.request.Write(append(line, '\n'))
	return err
}

// CloseSend says that no more rows come. Acknowledgements go on until All ends.
func (s *Inserts) CloseSend() error { return s.request.Close() }

// Close ends the stream at once.
func (s *Inserts) Close() error {
	s.request.CloseWithError(context.Canceled)
	s.cancel()
	<-s.started
	if s.resp != nil {
		return s.resp.Body.Close()
	}
	return nil
}

// Acks yields an acknowledgement for each row, in order, until the stream
// ends. A row that the server refuses is an *Error, and the last thing.
func (s *Inserts) Acks() iter.Seq2[Ack, error] {
	return func(yield func(Ack, error) bool) {
		<-s.started
		if s.err != nil {
			yield(Ack{}, s.err)
			return
		}
		lines := bufio.NewReader(s.resp.Body)
		for {
			line, err := lines.ReadBytes('\n')
			if len(bytes.TrimSpace(line)) > 0 {
				ack, bad := readAck(line)
				if !yield(ack, bad) || bad != nil {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Ack{}, fmt.Errorf("inserts: reading acknowledgements: %w", err))
				return
			}
		}
	}
}

func readAck(line []byte) (Ack, error) {
	var a struct {
		Status    string `json:"status"`
		Seq       *int64 `json:"seq"`
		ErrorCode int    `json:"error_code"`
		Message   string `json:"message"`
	}
	if err := decode(line, &a); err != nil {
		return Ack{}, fmt.Errorf("inserts: not an acknowledgement (%w): %s", err, excerpt(line))
	}
	if a.Status == "ok" && a.Seq != nil {
		return Ack{Seq: *a.Seq}, nil
	}
	e := &Error{HTTPStatus: http.StatusOK, ErrorCode: a.ErrorCode, Message: a.Message, Request: "POST /inserts-stream"}
	if a.Seq != nil {
		e.Message = fmt.Sprintf("row %d: %s", *a.Seq, a.Message)
		return Ack{Seq: *a.Seq}, e
	}
	return Ack{}, e
}

// InsertAll sends rows and waits for all acknowledgements. It returns how many
// rows were acknowledged, also on error.
func (c *Client) InsertAll(ctx context.Context, target string, rows iter.Seq[any]) (int64, error) {
	s, err := c.Inserts(ctx, target, nil)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	var acked, sentRows int64 // sentRows is the sender's until sent has spoken
	sent := make(chan error, 1)
	go func() {
		for row := range rows {
			if err := s.Send(row); err != nil {
				sent <- err
				return
			}
			sentRows++
		}
		sent <- s.CloseSend()
	}()
	for _, err := range s.Acks() {
		if err != nil {
			s.request.CloseWithError(err) // the sender must not wait for a reader that left
			<-sent                        //nolint:errcheck // the reader's error is the one to tell
			return acked, err
		}
		acked++
	}
	// The server has ended its side. If it did so early, the sender may still
	// wait for it to read.
	s.request.CloseWithError(io.ErrClosedPipe)
	err = <-sent
	if err == nil && acked != sentRows {
		err = fmt.Errorf("inserts into %s: the server ended the stream after acknowledging %d of %d rows", target, acked, sentRows)
	}
	return acked, err
}
