// Package smtptest is an SMTP server for tests, that can be told to go wrong at
// any step of the protocol.
//
//	program under test ──SMTP──► Server ──► Hook at each Step: go on, refuse, hang, hang up
//	                                └────► Mails: what it has taken
//
// What a real server does with a mail whose client went away is done here, too:
// a mail is taken when the line with its dot has come, whether or not anybody
// is left to hear the answer.
package smtptest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Step is where in the protocol a connection is.
type Step string

// The steps, in order. All but Connect and Taken come when the client's command
// is there and before it is obeyed.
const (
	Connect  Step = "connect"  // before the greeting
	Hello    Step = "hello"    // EHLO or HELO
	StartTLS Step = "starttls" // STARTTLS
	Auth     Step = "auth"     // AUTH
	Mail     Step = "mail"     // MAIL FROM
	Rcpt     Step = "rcpt"     // RCPT TO
	Data     Step = "data"     // DATA
	Content  Step = "content"  // the first line of the mail is there
	Dot      Step = "dot"      // all of it is there, and not yet taken
	Taken    Step = "taken"    // it is taken, and not yet answered
)

// Steps are all that a plain connection goes through.
var Steps = []Step{Connect, Hello, Mail, Rcpt, Data, Content, Dot, Taken}

// Action is what the server does at a step.
type Action struct {
	reply  string
	hangUp bool
	wait   time.Duration
	until  <-chan struct{}
}

// GoOn does what the client asks.
func GoOn() Action { return Action{} }

// Reply answers with the line instead, as "451 try later".
func Reply(line string) Action { return Action{reply: line} }

// HangUp ends the connection without a word.
func HangUp() Action { return Action{hangUp: true} }

// Wait goes on after a time.
func Wait(d time.Duration) Action { return Action{wait: d} }

// WaitFor goes on when the channel is closed.
func WaitFor(ch <-chan struct{}) Action { return Action{until: ch} }

// Options of Start.
type Options struct {
	Addr           string // where to listen; a free port of this machine when ""
	ImplicitTLS    bool   // TLS from the first byte
	OfferTLS       bool   // STARTTLS
	User, Password string // AUTH PLAIN with these is demanded, when not empty
}

// Server is the server.
type Server struct {
	t    testing.TB
	opts Options
	addr string
	tls  *tls.Config
	ca   []byte

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	hook     func(Step, string) Action
	mails    []Message
	steps    map[Step]int
	changed  chan struct{}
	wg       sync.WaitGroup
	stopped  chan struct{}
}

// Start starts a server that ends with the test.
func Start(t testing.TB, o Options) *Server {
	s := &Server{t: t, opts: o, conns: map[net.Conn]bool{}, steps: map[Step]int{}, changed: make(chan struct{})}
	if o.ImplicitTLS || o.OfferTLS {
		s.tls, s.ca = certificate(t)
	}
	s.addr = o.Addr
	if s.addr == "" {
		s.addr = "127.0.0.1:0"
	}
	s.Restart()
	t.Cleanup(s.Stop)
	return s
}

// Addr is host:port.
func (s *Server) Addr() string { return s.addr }

// CA is the certificate authority of the server's certificate, in PEM.
func (s *Server) CA() []byte { return s.ca }

// Restart starts a stopped server at its address.
func (s *Server) Restart() {
	l, err := net.Listen("tcp", s.addr)
	require.NoError(s.t, err)
	s.addr = l.Addr().String()
	s.mu.Lock()
	s.listener, s.stopped = l, make(chan struct{})
	s.mu.Unlock()
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			dead := s.listener != l
			if !dead {
				s.conns[c] = true
			}
			s.mu.Unlock()
			if dead {
				c.Close()
				return
			}
			s.wg.Go(func() {
				(&session{s: s, raw: c}).run()
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
				c.Close()
			})
		}
	})
}

// Stop ends the server as a crash does: every connection breaks.
func (s *Server) Stop() {
	s.mu.Lock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
		close(s.stopped)
	}
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// Hook asks f at each step of each connection from now on; nil: all goes well.
// The text is the client's command, at Dot and Taken the order's id. f must not
// call the server.
func (s *Server) Hook(f func(Step, string) Action) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = f
}

// At does something at the next n times that a step comes (n < 0: always).
func (s *Server) At(step Step, n int, a Action) {
	s.Hook(func(at Step, _ string) Action {
		if at != step || n == 0 {
			return GoOn()
		}
		n--
		return a
	})
}

func (s *Server) ask(step Step, text string) (Action, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps[step]++
	s.signal()
	if s.hook == nil {
		return GoOn(), s.stopped
	}
	return s.hook(step, text), s.stopped
}

func (s *Server) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Seen is how often a step came.
func (s *Server) Seen(step Step) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.steps[step]
}

// Mails are those that were taken, in order.
func (s *Server) Mails() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Message(nil), s.mails...)
}

// patience bounds a failing test.
const patience = 60 * time.Second

// Await waits until n mails were taken, and returns them.
func (s *Server) Await(n int) []Message {
	s.t.Helper()
	s.until(fmt.Sprintf("%d mails", n), func() bool { return len(s.mails) >= n })
	return s.Mails()
}

// AwaitStep waits until a step came n times.
func (s *Server) AwaitStep(step Step, n int) {
	s.t.Helper()
	s.until(fmt.Sprintf("%d times %s", n, step), func() bool { return s.steps[step] >= n })
}

func (s *Server) until(what string, is func() bool) {
	s.t.Helper()
	late := time.After(patience)
	for {
		s.mu.Lock()
		ok, changed, mails, steps := is(), s.changed, len(s.mails), fmt.Sprint(s.steps)
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-late:
			require.Failf(s.t, "waited in vain", "for %s; there are %d mails, steps %s", what, mails, steps)
		}
	}
}

// session is a connection.
type session struct {
	s    *Server
	raw  net.Conn
	in   *textproto.Reader
	auth bool
	tls  bool
	from string
	to   []string
}

func (c *session) over(conn net.Conn) {
	c.raw = conn
	c.in = textproto.NewReader(bufio.NewReader(conn))
}

func (c *session) say(format string, args ...any) bool {
	_, err := fmt.Fprintf(c.raw, format+"\r\n", args...)
	return err == nil
}

// step asks the hook. ok: obey the client; else it was answered, and alive tells
// whether the connection still is.
func (c *session) step(step Step, text string) (ok, alive bool) {
	a, stopped := c.s.ask(step, text)
	if a.wait > 0 {
		select {
		case <-time.After(a.wait):
		case <-stopped:
			return false, false
		}
	}
	if a.until != nil {
		select {
		case <-a.until:
		case <-stopped:
			return false, false
		}
	}
	switch {
	case a.hangUp:
		return false, false
	case a.reply != "":
		alive := c.say("%s", a.reply)
		return false, alive && !strings.HasPrefix(a.reply, "421")
	}
	return true, true
}

func (c *session) run() {
	if c.s.opts.ImplicitTLS {
		c.over(tls.Server(c.raw, c.s.tls))
		c.tls = true
	} else {
		c.over(c.raw)
	}
	if ok, _ := c.step(Connect, ""); !ok || !c.say("220 smtptest") {
		return
	}
	for {
		line, err := c.in.ReadLine()
		if err != nil || !c.command(line) {
			return
		}
	}
}

// command obeys one line, and tells whether to go on.
func (c *session) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	var step Step
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		step = Hello
	case "STARTTLS":
		step = StartTLS
	case "AUTH":
		step = Auth
	case "MAIL":
		step = Mail
	case "RCPT":
		step = Rcpt
	case "DATA":
		step = Data
	case "RSET":
		c.from, c.to = "", nil
		return c.say("250 ok")
	case "NOOP":
		return c.say("250 ok")
	case "QUIT":
		c.say("221 bye")
		return false
	default:
		return c.say("500 what?")
	}
	if ok, alive := c.step(step, line); !ok {
		return alive
	}
	switch step {
	case Hello:
		return c.hello()
	case StartTLS:
		if !c.say("220 go ahead") {
			return false
		}
		c.over(tls.Server(c.raw, c.s.tls))
		c.tls = true
		return true
	case Auth:
		return c.authenticate(rest)
	}
	if c.s.opts.User != "" && !c.auth {
		return c.say("530 authentication is needed")
	}
	switch step {
	case Mail:
		c.from, c.to = between(rest), nil
		return c.say("250 ok")
	case Rcpt:
		c.to = append(c.to, between(rest))
		return c.say("250 ok")
	case Data:
		if c.from == "" || len(c.to) == 0 {
			return c.say("503 not now")
		}
		return c.say("354 go on") && c.content()
	}
	return false
}

func (c *session) hello() bool {
	lines := []string{"smtptest", "8BITMIME", "ENHANCEDSTATUSCODES"}
	if c.s.opts.OfferTLS && !c.tls {
		lines = append(lines, "STARTTLS")
	}
	if c.s.opts.User != "" {
		lines = append(lines, "AUTH PLAIN")
	}
	for i, l := range lines {
		mark := "-"
		if i == len(lines)-1 {
			mark = " "
		}
		if !c.say("250%s%s", mark, l) {
			return false
		}
	}
	return true
}

func (c *session) authenticate(rest string) bool {
	_, secret, _ := strings.Cut(rest, " ")
	b, err := base64.StdEncoding.DecodeString(secret)
	if err != nil || string(b) != "\x00"+c.s.opts.User+"\x00"+c.s.opts.Password {
		return c.say("535 wrong")
	}
	c.auth = true
	return c.say("235 ok")
}

// content reads the mail behind DATA.
func (c *session) content() bool {
	first, err := c.in.R.Peek(1)
	if err != nil || len(first) == 0 {
		return false
	}
	if ok, alive := c.step(Content, ""); !ok {
		return alive
	}
	b, err := io.ReadAll(c.in.DotReader())
	if err != nil {
		return false
	}
	m := Message{From: c.from, To: c.to, Raw: b, At: time.Now()}
	if ok, alive := c.step(Dot, m.OrderID()); !ok {
		return alive
	}
	c.s.mu.Lock()
	c.s.mails = append(c.s.mails, m)
	c.s.signal()
	c.s.mu.Unlock()
	if ok, alive := c.step(Taken, m.OrderID()); !ok {
		return alive
	}
	return c.say("250 taken")
}

// between is what stands between < and >.
func between(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}
