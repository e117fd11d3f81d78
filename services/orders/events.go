package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidestream/sidestream/services/internal/web"
)

// events streams the states of orders as server-sent events, from now on or
// from where the client was (Last-Event-ID).
//
// An event's id is the offset behind it in each partition of `orders`, as in
// "0-17.1-4.2-0.3-9", so that any replica can go on from there: from the newest
// records in memory, and if those don't reach back so far, from the topic. A
// client that reads slowly costs nothing but its own delay.
func (a *api) events(w http.ResponseWriter, r *http.Request) *web.Problem {
	if p := query(r).problem(); p != nil {
		return p
	}
	at := a.recent.positions()
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		was, err := parseEventID(last)
		if err != nil {
			return web.BadParameters(web.FieldError{In: "header", Field: "Last-Event-ID", Detail: err.Error()})
		}
		for p, end := range at {
			// Partitions that the client hasn't heard of are read from their
			// start; what lies behind the end is of a topic that is no more.
			at[p] = min(was[p], end)
		}
	}
	leave, p := a.streams.Enter(web.ClientOf(r.Context()))
	if p != nil {
		return p
	}
	defer leave()
	var expired <-chan time.Time
	if id := web.IdentityOf(r.Context()); id != nil {
		timer := time.NewTimer(time.Until(id.Expires))
		defer timer.Stop()
		expired = timer.C
	}
	bell, hangUp := a.recent.bell()
	defer hangUp()
	s := &stream{w: w, rc: http.NewResponseController(w), at: at}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	// The first comment opens the stream through proxies.
	if s.write("retry: 1000\n: orders from "+s.id()+" on\n\n") != nil {
		return nil
	}
	beat := time.NewTicker(a.heartbeat)
	defer beat.Stop()
	ended := r.Context().Done()
	for {
		if err := a.catchUp(s, ended); err != nil {
			a.log.Debug("an event stream ended", "error", err)
			return nil
		}
		select {
		case <-bell:
		case <-beat.C:
			if s.write(": alive\n\n") != nil {
				return nil
			}
		case <-expired:
			return nil // the client comes back, with a new token
		case <-web.Draining(r.Context()):
			return nil // the client comes back, to another replica
		case <-ended:
			return nil
		}
	}
}

// catchUp sends all that is there.
func (a *api) catchUp(s *stream, ended <-chan struct{}) error {
	partitions := make([]int32, 0, len(s.at))
	for p := range s.at {
		partitions = append(partitions, p)
	}
	slices.Sort(partitions)
	from, to := map[int32]int64{}, map[int32]int64{}
	for _, p := range partitions {
		for {
			records, floor := a.recent.since(p, s.at[p], 256)
			if floor > s.at[p] {
				from[p], to[p] = s.at[p], floor
				break
			}
			for _, r := range records {
				if err := s.send(r); err != nil {
					return err
				}
			}
			if len(records) < 256 {
				break
			}
		}
	}
	if len(from) > 0 {
		if err := replay(a.kafka, from, to, ended, s.send); err != nil {
			return err
		}
		for p, offset := range to {
			s.at[p] = max(s.at[p], offset) // the last offsets may be of no record
		}
		return a.catchUp(s, ended)
	}
	return s.flush()
}

// stream is one client's.
type stream struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	at    map[int32]int64 // offset of the next record, by partition
	dirty bool
}

// sendTime bounds a write to a client that doesn't read.
const sendTime = 30 * time.Second

func (s *stream) send(r *record) error {
	s.at[r.partition] = r.offset + 1
	if !s.dirty {
		_ = s.rc.SetWriteDeadline(time.Now().Add(sendTime)) // no deadline where it can't be set
	}
	s.dirty = true
	_, err := fmt.Fprintf(s.w, "id: %s\nevent: order\ndata: %s\n\n", s.id(), r.value)
	return err
}

func (s *stream) write(text string) error {
	_ = s.rc.SetWriteDeadline(time.Now().Add(sendTime))
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	s.dirty = true
	return s.flush()
}

func (s *stream) flush() error {
	if !s.dirty {
		return nil
	}
	s.dirty = false
	return s.rc.Flush()
}

func (s *stream) id() string {
	partitions := make([]int32, 0, len(s.at))
	for p := range s.at {
		partitions = append(partitions, p)
	}
	slices.Sort(partitions)
	var b []byte
	for i, p := range partitions {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(strconv.AppendInt(b, int64(p), 10), '-')
		b = strconv.AppendInt(b, s.at[p], 10)
	}
	return string(b)
}

func parseEventID(id string) (map[int32]int64, error) {
	at := map[int32]int64{}
	for part := range strings.SplitSeq(id, ".") {
		p, offset, ok := strings.Cut(part, "-")
		n, err1 := strconv.ParseUint(p, 10, 31)
		o, err2 := strconv.ParseUint(offset, 10, 63)
		if !ok || err1 != nil || err2 != nil || len(at) > 10_000 {
			return nil, fmt.Errorf("must be an id that this stream gave, as 0-17.1-4, is %q", id)
		}
		at[int32(n)] = int64(o)
	}
	return at, nil
}
