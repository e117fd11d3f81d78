package e2e

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/services/email/smtptest"
)

// TestEmailKill kills the emailer (SIGKILL) and the SMTP server, each at a random
// step of a mail, while orders come in. Then it counts: no order is without its
// mail or its record, and none has two mails but for those that a kill left in
// doubt under the policy resend. CHAOS_EMAIL_KILLS says how often, CHAOS_SEED which.
func TestEmailKill(t *testing.T) {
	kills := number(t, "CHAOS_EMAIL_KILLS", 6)
	seed := number(t, "CHAOS_SEED", int(time.Now().UnixNano()&0xffffff))
	for _, emailer := range emailers {
		for _, policy := range []string{"hold", "resend"} {
			t.Run(emailer+"-"+policy, func(t *testing.T) {
				t.Logf("CHAOS_SEED=%d CHAOS_EMAIL_KILLS=%d", seed, kills)
				m := startMailing(t, emailer, map[string]string{"EMAIL_CRASH_POLICY": policy, "EMAIL_WORKERS": "4"})
				c := &mailChaos{mailing: m, random: rand.New(rand.NewPCG(uint64(seed), 1)), at: map[string]int{}}
				c.watch()
				for id := range int64(8) {
					m.customer(id, fieldsOf{"level": []string{"platinum", "gold", "silver", "bronze"}[id%4]})
				}
				for i := range kills {
					c.kill()
					if i%20 == 19 {
						t.Logf("%d kills, %d orders", i+1, c.orders)
					}
				}
				m.smtp.Hook(nil)
				c.order(5)
				c.count(policy)
			})
		}
	}
}

type mailChaos struct {
	*mailing
	random *rand.Rand
	orders int
	at     map[string]int // kills by victim and step

	mu       sync.Mutex
	statuses map[string]string // order → the status on record
	doubts   map[string]int    // order → how often its mail was in doubt
}

// watch follows emails-sent. The topic is compacted: at the end, only the last
// record of each order may be left.
func (c *mailChaos) watch() {
	c.statuses, c.doubts = map[string]string{}, map[string]int{}
	from := map[int32]kgo.Offset{}
	for p := range int32(4) {
		from[p] = kgo.NewOffset().AtStart()
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.kafka), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"emails-sent": from}))
	require.NoError(c.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	c.t.Cleanup(func() { cancel(); <-done; cl.Close() })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
				f := record{r, fields(r.Value)}
				c.mu.Lock()
				defer c.mu.Unlock()
				id, status, reason := string(r.Key), f.str("STATUS"), f.str("REASON")
				// The record after SENDING tells.
				if c.statuses[id] == "SENDING" && status != "SENT" &&
					(strings.Contains(reason, "no answer to the mail") || strings.Contains(reason, "the program ended")) {
					c.doubts[id]++
				}
				c.statuses[id] = status
			})
		}
	}()
}

// order places orders, paid and validated in one go.
func (c *mailChaos) order(n int) {
	for range n {
		c.paid(fmt.Sprintf("o-%d", c.orders), int64(c.orders%8))
		c.orders++
	}
}

// kill waits until a mail is at a random step, and ends its server or its program
// there.
func (c *mailChaos) kill() {
	step := smtptest.Steps[c.random.IntN(len(smtptest.Steps))]
	victim := []string{"email", "smtp"}[c.random.IntN(2)]
	skip := int64(c.random.IntN(3)) // how many mails pass by first
	c.at[victim+" at "+string(step)]++
	reached, dead := make(chan struct{}), make(chan struct{})
	var seen atomic.Int64
	c.smtp.Hook(func(at smtptest.Step, _ string) smtptest.Action {
		if at != step || seen.Add(1) != skip+1 {
			return smtptest.GoOn()
		}
		close(reached)
		if victim == "smtp" {
			return smtptest.HangUp()
		}
		return smtptest.WaitFor(dead)
	})
	c.order(2 + c.random.IntN(6))
	// A connection serves several mails, so its first steps may not come again by
	// themselves: then the victim dies when nothing happens.
	select {
	case <-reached:
	case <-time.After(3 * time.Second):
	}
	pause := time.Duration(c.random.IntN(150)) * time.Millisecond
	if victim == "smtp" {
		c.smtp.Stop()
		time.Sleep(pause)
		c.smtp.Restart()
		return
	}
	c.mailing.kill("email")
	close(dead)
	time.Sleep(pause)
	c.run("email")
}

// count reads what there is, when all is settled.
func (c *mailChaos) count(policy string) {
	c.t.Helper()
	c.ready("email")
	c.eventually(2*time.Minute, "every order has its end", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := range c.orders {
			id := fmt.Sprintf("o-%d", i)
			if s := c.statuses[id]; s != "SENT" && (policy != "hold" || s != "HELD") {
				return fmt.Errorf("order %s is %q", id, s)
			}
		}
		return nil
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	statuses, doubts := c.statuses, c.doubts
	mails := c.mailsOf()
	counts := map[string]int{"orders": c.orders, "mails": len(c.smtp.Mails())}
	var faults []string
	for id, status := range statuses {
		n := mails[id]
		counts[status]++
		if doubts[id] > 0 {
			counts["in doubt"]++
		}
		switch {
		case status == "HELD" && n == 1:
			counts["held and delivered"]++
		case status == "HELD" && n == 0:
			counts["held and not delivered"]++
		case n > 1:
			counts["with more than one mail"]++
		}
		switch {
		case status == "SENT" && n == 0:
			faults = append(faults, fmt.Sprintf("order %s is SENT and has no mail", id))
		case policy == "hold" && n > 1:
			faults = append(faults, fmt.Sprintf("order %s has %d mails", id, n))
		case n > 1+doubts[id]:
			faults = append(faults, fmt.Sprintf("order %s has %d mails, and was in doubt %d times", id, n, doubts[id]))
		}
	}
	ids := map[string]string{}
	for _, mail := range c.smtp.Mails() {
		id := mail.OrderID()
		if was := ids[id]; was != "" && was != mail.Header("Message-ID") {
			faults = append(faults, fmt.Sprintf("order %s has mails of two Message-IDs", id))
		}
		ids[id] = mail.Header("Message-ID")
	}
	var text []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		text = append(text, fmt.Sprintf("%d %s", counts[name], name))
	}
	c.t.Logf("kills %v", c.at)
	c.t.Logf("counted: %s", strings.Join(text, ", "))
	require.Empty(c.t, faults)
	require.Len(c.t, statuses, c.orders)
}
