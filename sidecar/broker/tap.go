package broker

import (
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tap is a listener whose connections show the cluster's answers before the
// clients get them. kfake's hooks see requests only, and it matters whether one
// was accepted.
type tap struct {
	net.Listener
	keys []int16
	// answered is called with a request of one of the keys and its answer, before
	// the answer is sent, on the connection's goroutine. On an error the answer
	// isn't sent, and the connection ends.
	answered func(kmsg.Request, kmsg.Response) error
	// sasl: only who has said who it is gets further than saying so. kfake checks
	// that, too, but our hooks come before.
	sasl bool
	// hold keeps connections waiting until it is closed.
	hold chan struct{}
}

// Accept waits for the next connection.
func (t *tap) Accept() (net.Conn, error) {
	conn, err := t.Listener.Accept()
	if err != nil {
		return nil, err
	}
	<-t.hold
	return &tapped{Conn: conn, tap: t, waiting: map[int32]kmsg.Request{}}, nil
}

// tapped is a connection. kfake reads a request in pieces as it likes, and
// writes an answer in one piece.
type tapped struct {
	net.Conn
	tap  *tap
	head []byte // of the request that is being read: its size, key, version and correlation id
	body []byte // and all of it, when it is one of the keys
	left int    // bytes that are still to come

	mu      sync.Mutex
	waiting map[int32]kmsg.Request // by correlation id: not yet answered
	steps   int                    // of the authentication that are to come
	known   bool                   // it is over
}

const headSize = 12

// Read is the connection's, and notes what passes.
func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for b := p[:n]; len(b) > 0; {
		if missing := headSize - len(c.head); missing > 0 {
			take := min(missing, len(b))
			c.head = append(c.head, b[:take]...)
			b = b[take:]
			if len(c.head) < headSize {
				break
			}
			if !c.allowed() {
				return 0, errors.New("a request before the authentication")
			}
			c.left = int(binary.BigEndian.Uint32(c.head)) - (headSize - 4)
			c.body = c.body[:0]
		}
		take := min(max(c.left, 0), len(b))
		if c.wanted() {
			c.body = append(c.body, b[:take]...)
		}
		b = b[take:]
		if c.left -= take; c.left <= 0 {
			c.request()
			c.head = c.head[:0]
		}
	}
	return n, err
}

func (c *tapped) key() int16 { return int16(binary.BigEndian.Uint16(c.head[4:])) }

func (c *tapped) wanted() bool {
	key := c.key()
	return slices.Contains(c.tap.keys, key) || c.tap.sasl && (key == int16(kmsg.SASLHandshake) || key == int16(kmsg.SASLAuthenticate))
}

func (c *tapped) allowed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.tap.sasl || c.known {
		return true
	}
	switch kmsg.Key(c.key()) {
	case kmsg.ApiVersions, kmsg.SASLHandshake, kmsg.SASLAuthenticate:
		return true
	}
	return false
}

// authentication follows it by its answers; kfake has none for who fails.
func (c *tapped) authentication(kreq kmsg.Request, kresp kmsg.Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch req := kreq.(type) {
	case *kmsg.SASLHandshakeRequest:
		if resp, ok := kresp.(*kmsg.SASLHandshakeResponse); ok && resp.ErrorCode == 0 {
			c.steps = 2 // SCRAM
			if req.Mechanism == "PLAIN" {
				c.steps = 1
			}
		}
	case *kmsg.SASLAuthenticateRequest:
		if resp, ok := kresp.(*kmsg.SASLAuthenticateResponse); ok && resp.ErrorCode == 0 && c.steps > 0 {
			c.steps--
			c.known = c.known || c.steps == 0
		}
	}
}

// request notes a request that has come whole. One that can't be read is left to
// the cluster, which closes the connection.
func (c *tapped) request() {
	if !c.wanted() {
		return
	}
	req := kmsg.RequestForKey(c.key())
	req.SetVersion(int16(binary.BigEndian.Uint16(c.head[6:])))
	r := kbin.Reader{Src: slices.Clone(c.body)}
	r.NullableString() // the client id
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if req.ReadFrom(r.Src) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[int32(binary.BigEndian.Uint32(c.head[8:]))] = req
}

// Write is the connection's, after the answer was shown.
func (c *tapped) Write(p []byte) (int, error) {
	if len(p) >= 8 {
		if err := c.answer(int32(binary.BigEndian.Uint32(p[4:])), p[8:]); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

func (c *tapped) answer(correlation int32, body []byte) error {
	c.mu.Lock()
	req := c.waiting[correlation]
	delete(c.waiting, correlation)
	c.mu.Unlock()
	if req == nil {
		return nil
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	r := kbin.Reader{Src: body}
	if resp.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	if err := resp.ReadFrom(r.Src); err != nil {
		return err
	}
	switch kmsg.Key(req.Key()) {
	case kmsg.SASLHandshake, kmsg.SASLAuthenticate:
		c.authentication(req, resp)
		return nil
	}
	return c.tap.answered(req, resp)
}
