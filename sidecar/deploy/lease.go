package deploy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// One applier at a time works on a service. ksqlDB itself has nothing to build
// that on: of two concurrent statements it fences one with an error, or carries
// out both, and its sequence number is no compare-and-set. Kafka has: what a
// transactional producer commits proves that nobody else has begun to write
// since. So the lease is a record in the ledger's topic, taken thus:
//
//	read the lease; while another one holds it and goes on renewing it: wait
//	begin as the producer of the service's transactional id: all before are fenced
//	read the lease again: is it as it was?
//	commit a record with our name: refused if another one has begun meanwhile
//
// Who was fenced by somebody that then found the lease taken begins again and
// goes on. A holder that dies leaves a lease that isn't renewed: whoever has
// watched it for LeaseTTL takes it. No clocks are compared.
const leasePoll = 200 * time.Millisecond

// LeaseTTL is how long the lease of an applier that died keeps others waiting.
const LeaseTTL = 15 * time.Second

type leaseRecord struct {
	Holder   string    `json:"holder"`
	Since    time.Time `json:"since"`
	Renewed  int       `json:"renewed"`
	Released bool      `json:"released,omitempty"`

	offset int64
}

// errLeaseLost ends an applier whose lease another one has taken.
var errLeaseLost = errors.New("another applier has taken over: this one ends (it was away for too long)")

// Lock waits for the service's lease and takes it. Work is done under the context
// that it returns, which ends when the lease is lost; unlock gives it back.
// waiting is told who holds it, once for each holder.
func (l *Ledger) Lock(ctx context.Context, waiting func(holder string)) (context.Context, func(), error) {
	name, err := os.Hostname()
	if err != nil {
		name = "somebody"
	}
	nonce := make([]byte, 4)
	if _, err := rand.Read(nonce); err != nil {
		return nil, nil, err
	}
	l.holder = fmt.Sprintf("%s/%d/%s", name, os.Getpid(), hex.EncodeToString(nonce))
	if err := l.acquire(ctx, waiting); err != nil {
		return nil, nil, err
	}
	held, lose := context.WithCancelCause(ctx)
	keeper := &leaseKeeper{ledger: l, lose: lose, stop: make(chan struct{}), since: time.Now()}
	keeper.done.Go(func() { keeper.run(held) })
	return held, func() {
		close(keeper.stop)
		keeper.done.Wait()
		// The context may have ended: the lease is given back all the same.
		free, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if !errors.Is(context.Cause(held), errLeaseLost) {
			_ = l.write(free, l.leaseKey(), &leaseRecord{Holder: l.holder, Since: keeper.since, Released: true}) // else it runs out
		}
		lose(nil)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.writer != nil {
			l.writer.Close()
			l.writer = nil
		}
	}, nil
}

func (l *Ledger) acquire(ctx context.Context, waiting func(string)) error {
	seen, since, told := int64(-1), time.Time{}, ""
	for {
		b, err := l.load(ctx)
		if err != nil {
			return err
		}
		if cur := b.lease; cur != nil && !cur.Released && cur.Holder != l.holder {
			if cur.offset != seen {
				seen, since = cur.offset, time.Now()
			}
			if time.Since(since) < l.TTL {
				if waiting != nil && told != cur.Holder {
					told = cur.Holder
					waiting(cur.Holder)
				}
				select {
				case <-ctx.Done():
					return fmt.Errorf("waiting for %s, which applies SQL to service id %s: %w", cur.Holder, l.service, context.Cause(ctx))
				case <-time.After(leasePoll):
				}
				continue
			}
		}
		taken, err := l.claim(ctx, b.lease)
		if taken || err != nil {
			return err
		}
	}
}

// claim fences the appliers before and takes the lease if it is still as was
// seen.
func (l *Ledger) claim(ctx context.Context, seen *leaseRecord) (bool, error) {
	if err := l.begin(ctx); err != nil {
		return false, err
	}
	b, err := l.load(ctx)
	if err != nil {
		return false, err
	}
	if !sameLease(seen, b.lease) {
		return false, nil
	}
	err = l.commit(ctx, l.leaseKey(), &leaseRecord{Holder: l.holder, Since: time.Now().UTC()})
	if fencedOff(err) {
		return false, nil
	}
	return err == nil, err
}

func sameLease(a, b *leaseRecord) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.offset == b.offset
}

// begin makes the producer of the service's appliers, which fences those before.
func (l *Ledger) begin(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writer != nil {
		l.writer.Close()
		l.writer = nil
	}
	cl, err := connect(ctx, l.kafka.brokers, kgo.TransactionalID("_sidestream-"+l.service+"-apply"), kgo.TransactionTimeout(10*time.Second),
		kgo.DefaultProduceTopic(LedgerTopic), kgo.ProducerLinger(0))
	if err != nil {
		return err
	}
	if _, _, err := cl.ProducerID(ctx); err != nil {
		cl.Close()
		return fmt.Errorf("topic %s can't be written: %w", LedgerTopic, err)
	}
	l.writer = cl
	return nil
}

func fencedOff(err error) bool {
	return errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.InvalidProducerIDMapping) ||
		errors.Is(err, kerr.InvalidTxnState)
}

// write commits a record. One who was fenced looks whether the lease is its own
// still, and then begins again.
func (l *Ledger) write(ctx context.Context, key string, value any) error {
	for range 5 {
		err := l.commit(ctx, key, value)
		if !fencedOff(err) {
			return err
		}
		if err := l.begin(ctx); err != nil {
			return err
		}
		b, err := l.load(ctx)
		if err != nil {
			return err
		}
		if b.lease == nil || b.lease.Holder != l.holder || b.lease.Released {
			return errLeaseLost
		}
	}
	return fmt.Errorf("topic %s: several appliers keep each other from writing", LedgerTopic)
}

// commit writes a record in a transaction of its own; a nil value removes the
// key.
func (l *Ledger) commit(ctx context.Context, key string, value any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writer == nil {
		return errors.New("the ledger is written without its lock")
	}
	r := &kgo.Record{Key: []byte(key)}
	if value != nil {
		b, err := json.Marshal(value)
		if err != nil {
			return err
		}
		r.Value = b
	}
	if err := l.writer.BeginTransaction(); err != nil {
		return err
	}
	err := l.writer.ProduceSync(ctx, r).FirstErr()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err != nil {
		return errors.Join(err, l.writer.EndTransaction(end, kgo.TryAbort))
	}
	return l.writer.EndTransaction(end, kgo.TryCommit)
}

// leaseKeeper renews the lease while it is held. Its goroutine ends with unlock.
type leaseKeeper struct {
	ledger *Ledger
	lose   context.CancelCauseFunc
	stop   chan struct{}
	done   sync.WaitGroup
	since  time.Time
}

func (k *leaseKeeper) run(ctx context.Context) {
	ttl := k.ledger.TTL
	tick := time.NewTicker(ttl / 4)
	defer tick.Stop()
	last, n := time.Now(), 0
	for {
		select {
		case <-k.stop:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n++
		try, cancel := context.WithTimeout(ctx, ttl/2)
		err := k.ledger.write(try, k.ledger.leaseKey(), &leaseRecord{Holder: k.ledger.holder, Since: k.since, Renewed: n})
		cancel()
		switch {
		case err == nil:
			last = time.Now()
		case errors.Is(err, errLeaseLost):
			k.lose(err)
			return
		case time.Since(last) > ttl*3/4:
			k.lose(fmt.Errorf("%w: the lease can't be renewed: %w", errLeaseLost, err))
			return
		}
	}
}
