package engine

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// One process at a time runs a service id. It says so on a topic of one
// partition, and reads that topic as long as it lives:
//
//   - own: this instance runs the service id.
//   - claim: another would like to. Who owns it answers held, and the newcomer
//     gives up with a message that says who is there.
//   - released: the owner has left.
//
// An owner that is gone without a word answers nothing: the newcomer waits for a
// moment and takes over, at once where it can see that the owner's process is
// dead, as after kill -9 on the same machine. Should an owner that is merely slow
// be taken for dead, it reads the newcomer's own, and ends; its transactions are
// fenced in any case (log.go and package runtime).

const (
	// claimWait is how long a silent owner is waited for.
	claimWait = 1500 * time.Millisecond

	noteOwn      = "own"
	noteClaim    = "claim"
	noteHeld     = "held"
	noteReleased = "released"
)

// process tells this process from an earlier one of the same number.
var process = token()

func token() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// note is a record of the owners' topic.
type note struct {
	Kind     string `json:"kind"`
	Instance string `json:"instance"`
	Host     string `json:"host"`
	PID      int    `json:"pid"`
	Process  string `json:"process"`
	// Address is where the instance serves REST, for people.
	Address string `json:"address,omitempty"`
	Since   string `json:"since,omitempty"`
	// To is the instance that a held answers.
	To string `json:"to,omitempty"`
}

func (n *note) who() string {
	s := fmt.Sprintf("process %d on %s", n.PID, n.Host)
	if n.Address != "" {
		s += ", serving " + n.Address
	}
	if n.Since != "" {
		s += ", since " + n.Since
	}
	return s
}

// dead tells whether the note's process can be seen to be gone.
func (n *note) dead(me *note) bool {
	if n.Host != me.Host || n.Process == me.Process {
		return false
	}
	if n.PID == me.PID {
		return true // the number was given to this process, so that one is gone
	}
	return syscall.Kill(n.PID, 0) == syscall.ESRCH || zombie(n.PID)
}

// zombie tells whether a process has ended and nobody has asked how, where /proc
// tells.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	behind := stat[bytes.LastIndexByte(stat, ')')+1:] // the name may hold anything
	return len(behind) > 1 && behind[1] == 'Z'
}

// ownership is held from acquire until release.
type ownership struct {
	cl    *kgo.Client
	topic string
	me    note
	id    string // service id
	log   *slog.Logger

	stop context.CancelFunc
	done chan struct{}

	mu   sync.Mutex
	lost error
	// Lost is closed when another instance has taken over.
	Lost chan struct{}
}

// acquire takes the service id, or says who has it.
func acquire(ctx context.Context, cfg *Config, adm *kadm.Client, kafka *kgo.Client) (*ownership, error) {
	topic := "_sidestream-" + cfg.ServiceID + "-owner"
	if err := makeTopic(ctx, adm, kafka, topic, 1, map[string]*string{"cleanup.policy": kadm.StringPtr("compact"), "retention.ms": kadm.StringPtr("-1")}); err != nil {
		return nil, err
	}
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("topic %s: %w", topic, err)
	}
	end, _ := ends.Lookup(topic, 0)
	host, _ := os.Hostname()
	o := &ownership{topic: topic, id: cfg.ServiceID, log: cfg.Logger, done: make(chan struct{}), Lost: make(chan struct{}),
		me: note{Instance: token(), Host: host, PID: os.Getpid(), Process: process, Address: cfg.Address, Since: time.Now().UTC().Format(time.RFC3339)}}
	o.cl, err = kgo.NewClient(append(append([]kgo.Opt{}, cfg.Client...),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}),
		kgo.FetchMaxWait(time.Second), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0), kgo.ManualFlushing())...)
	if err != nil {
		return nil, err
	}
	if err := o.take(ctx, end.Offset); err != nil {
		o.cl.Close()
		return nil, err
	}
	watch, stop := context.WithCancel(context.Background())
	o.stop = stop
	go o.watch(watch)
	return o, nil
}

func (o *ownership) take(ctx context.Context, end int64) error {
	var last *note
	for at := int64(0); at < end; {
		fetches := o.cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("topic %s: %w", o.topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			at = r.Offset + 1
			if n := read(r); n != nil && (n.Kind == noteOwn || n.Kind == noteReleased) {
				last = n
			}
		})
	}
	if last != nil && last.Kind == noteOwn && !last.dead(&o.me) {
		if err := o.claim(ctx, last); err != nil {
			return err
		}
	}
	return o.write(ctx, noteOwn, "")
}

// claim asks the owner whether it is there.
func (o *ownership) claim(ctx context.Context, owner *note) error {
	if err := o.write(ctx, noteClaim, ""); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, claimWait)
	defer cancel()
	for wait.Err() == nil {
		var held *note
		released := false
		fetches := o.cl.PollFetches(wait)
		fetches.EachRecord(func(r *kgo.Record) {
			n := read(r)
			switch {
			case n == nil:
			case n.Kind == noteHeld && n.To == o.me.Instance:
				held = n
			case n.Kind == noteReleased && n.Instance == owner.Instance:
				released = true
			}
		})
		if held != nil {
			return fmt.Errorf("service id %q is run by another instance (%s): stop that one, or give this one a service id of its own", o.id, held.who())
		}
		if released {
			return nil
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	o.log.Warn("the last owner of the service id doesn't answer; taking over", "service", o.id, "owner", owner.who())
	return nil
}

func read(r *kgo.Record) *note {
	var n note
	if json.Unmarshal(r.Value, &n) != nil {
		return nil
	}
	return &n
}

func (o *ownership) write(ctx context.Context, kind, to string) error {
	n := o.me
	n.Kind, n.To = kind, to
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	// Claims and answers have keys of their own, so that compaction keeps the owner.
	r := &kgo.Record{Key: []byte(map[bool]string{true: "owner", false: kind}[kind == noteOwn || kind == noteReleased]), Value: b}
	var failed error
	done := make(chan struct{})
	o.cl.Produce(ctx, r, func(_ *kgo.Record, err error) { failed = err; close(done) })
	if err := o.cl.Flush(ctx); err != nil {
		return fmt.Errorf("topic %s: %w", o.topic, err)
	}
	<-done
	if failed != nil {
		return fmt.Errorf("topic %s: %w", o.topic, failed)
	}
	return nil
}

// watch answers claims, and notices a successor.
func (o *ownership) watch(ctx context.Context) {
	defer close(o.done)
	owns := false // own's record has been read: what is before it is past
	for ctx.Err() == nil {
		fetches := o.cl.PollFetches(ctx)
		if fetches.Err() != nil && ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond) // the client tries again by itself
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n := read(r)
			switch {
			case n == nil:
			case n.Instance == o.me.Instance:
				owns = owns || n.Kind == noteOwn
			case !owns:
			case n.Kind == noteClaim:
				if err := o.write(ctx, noteHeld, n.Instance); err != nil && ctx.Err() == nil {
					o.log.Warn("can't answer an instance that claims the service id", "service", o.id, "claimer", n.who(), "err", err)
				}
			case n.Kind == noteOwn:
				o.lose(fmt.Errorf("service id %q was taken over by another instance (%s): this one ends", o.id, n.who()))
			}
		})
	}
}

func (o *ownership) lose(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost == nil {
		o.lost = err
		close(o.Lost)
	}
}

func (o *ownership) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost
}

// release tells that the service id is free.
func (o *ownership) release() {
	o.stop()
	<-o.done
	if o.err() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := o.write(ctx, noteReleased, ""); err != nil {
			o.log.Warn("can't release the service id; the next start waits a moment", "service", o.id, "err", err)
		}
	}
	o.cl.Close()
}
