package web

import (
	"container/list"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate bounds the requests of each client by a token bucket. It remembers at most
// MaxClients of them and forgets who was away longest. The zero value bounds
// nothing.
type Rate struct {
	// PerSecond is what a client may send on end; 0 is any number.
	PerSecond float64
	// Burst is what it may send at once; at least 1.
	Burst int

	mu      sync.Mutex
	clients map[string]*list.Element
	recent  list.List // of *bucket, newest first
	now     func() time.Time
}

type bucket struct {
	client string
	tokens *rate.Limiter
}

// MaxClients is how many clients a Rate remembers, at some 200 bytes each.
const MaxClients = 50_000

func (l *Rate) on() bool { return l != nil && l.PerSecond > 0 }

func (l *Rate) bucket(client string) (*rate.Limiter, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.now != nil {
		now = l.now()
	}
	if l.clients == nil {
		l.clients = map[string]*list.Element{}
	}
	if e, ok := l.clients[client]; ok {
		l.recent.MoveToFront(e)
		return e.Value.(*bucket).tokens, now
	}
	if l.recent.Len() >= MaxClients {
		last := l.recent.Back()
		delete(l.clients, l.recent.Remove(last).(*bucket).client)
	}
	b := &bucket{client, rate.NewLimiter(rate.Limit(l.PerSecond), max(1, l.Burst))}
	l.clients[client] = l.recent.PushFront(b)
	return b.tokens, now
}

// Take is nil when the client may send a request now, and counts it.
func (l *Rate) Take(client string) *Problem {
	if !l.on() {
		return nil
	}
	tokens, now := l.bucket(client)
	if tokens.AllowN(now, 1) {
		return nil
	}
	return l.tooMany(tokens, now)
}

// Spent is nil unless the client has used up what it may send. It counts nothing.
func (l *Rate) Spent(client string) *Problem {
	if !l.on() {
		return nil
	}
	tokens, now := l.bucket(client)
	if tokens.TokensAt(now) >= 1 {
		return nil
	}
	return l.tooMany(tokens, now)
}

func (l *Rate) tooMany(tokens *rate.Limiter, now time.Time) *Problem {
	wait := time.Duration(math.Ceil((1 - tokens.TokensAt(now)) / l.PerSecond * float64(time.Second)))
	return &Problem{Code: "too-many-requests", Status: http.StatusTooManyRequests, RetryAfter: wait,
		Detail: fmt.Sprintf("More than %g requests a second (%d at once). Wait, then send it again.", l.PerSecond, max(1, l.Burst))}
}

// Streams bounds the answers that stay open. The zero value bounds nothing.
type Streams struct {
	// Total of the service, and of each client; 0 is any number.
	Total, PerClient int

	mu    sync.Mutex
	open  int
	of    map[string]int
	Gauge func(open int) // told of each change; may be nil
}

// Enter counts a stream of the client; leave must be called when it ends. A
// Problem: there are too many.
func (s *Streams) Enter(client string) (leave func(), p *Problem) {
	if s == nil {
		return func() {}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.PerClient > 0 && s.of[client] >= s.PerClient:
		return nil, &Problem{Code: "too-many-streams", Status: http.StatusTooManyRequests, RetryAfter: 5 * time.Second,
			Detail: fmt.Sprintf("You have %d streams open, which is the most. Close one.", s.PerClient)}
	case s.Total > 0 && s.open >= s.Total:
		p := Unavailable(fmt.Sprintf("This replica has %d streams open, which is the most that it takes. Try again: there may be room on another.", s.Total))
		p.Code = "too-many-streams"
		return nil, p
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.of[client]++
	s.changed(1)
	var once sync.Once
	return func() {
		once.Do(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.of[client]--; s.of[client] == 0 {
				delete(s.of, client)
			}
			s.changed(-1)
		})
	}, nil
}

func (s *Streams) changed(by int) {
	s.open += by
	if s.Gauge != nil {
		s.Gauge(s.open)
	}
}
