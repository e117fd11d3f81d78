package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/services/email/smtptest"
	"github.com/sidestream/sidestream/services/internal/config"
	"github.com/sidestream/sidestream/services/transact/transacttest"
)

// shop is the program in this process, on a broker and an SMTP server of the
// test's. Its SQL doesn't run: rows are written as the SQL would write them.
type shop struct {
	t      *testing.T
	broker *transacttest.Broker
	smtp   *smtptest.Server
	set    settings
	log    *syncBuffer
	addr   string
	stop   func()
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newShop(t *testing.T) *shop {
	s := &shop{t: t, broker: transacttest.NewBroker(t), smtp: smtptest.Start(t, smtptest.Options{}), log: &syncBuffer{}}
	s.broker.Topic(rowsTopic, 4)
	s.broker.Topic(commandsTopic, 4)
	s.broker.Compacted(sentTopic, 4)
	s.set = settings{
		Common:  config.Common{Brokers: s.broker.Addr, HTTPAddr: "127.0.0.1:0", InstanceID: "email-0", StateDir: t.TempDir(), StartTimeout: 10 * time.Second},
		sidecar: "http://127.0.0.1:1",
		policy:  policy{retryMin: 10 * time.Millisecond, retryMax: 50 * time.Millisecond, retryFor: time.Hour},
		workers: 4, drain: 10 * time.Second, smtp: smtpAt(t, s.smtp),
	}
	return s
}

// run starts the program; stop ends it cleanly.
func (s *shop) run() {
	s.t.Helper()
	svc, err := start(s.set, slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	require.NoError(s.t, err)
	s.addr = svc.server.Addr()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.run(ctx) }()
	var once sync.Once
	s.stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				require.NoError(s.t, err)
			case <-time.After(transacttest.Patience):
				require.Fail(s.t, "the program did not stop", s.log.String())
			}
		})
	}
	s.t.Cleanup(s.stop)
}

func (s *shop) row(id string, more ...string) {
	s.broker.Put(rowsTopic, id, rowText(more...))
}

// rowText is a row as SQL writes it, with other values for some columns.
func rowText(more ...string) string {
	text := `"CUSTOMERID":15,"PRODUCT":"UNDERPANTS","QUANTITY":3,"PRICE":5.00,"PAYMENTID":"Payment:1234","AMOUNT":1000.00,"CCY":"CZK","FIRSTNAME":"Franz","LASTNAME":"Kafka","EMAIL":"franz@example.com","LEVEL":"gold","KIND":"order"`
	return "{" + strings.Join(append([]string{text}, more...), ",") + "}"
}

// letters are the latest records of all orders.
func (s *shop) letters() map[string]*letter { return latest(s.t, s.broker.Committed(sentTopic)) }

func latest(t *testing.T, rs []*kgo.Record) map[string]*letter {
	out := map[string]*letter{}
	for _, r := range rs {
		l, err := decodeLetter(r.Value)
		require.NoError(t, err)
		require.Equal(t, string(r.Key), l.OrderID)
		out[l.OrderID] = l
	}
	return out
}

// await waits until an order's mail has the status.
func (s *shop) await(id string, want status) *letter {
	s.t.Helper()
	var l *letter
	s.broker.WaitFor(sentTopic, func(rs []*kgo.Record) bool {
		l = latest(s.t, rs)[id]
		return l != nil && l.Status == want
	})
	return l
}

// statuses are those that an order's mail had, in order.
func (s *shop) statuses(id string) []status {
	var out []status
	for _, r := range s.broker.Committed(sentTopic) {
		if string(r.Key) == id {
			l, err := decodeLetter(r.Value)
			require.NoError(s.t, err)
			out = append(out, l.Status)
		}
	}
	return out
}

func (s *shop) metric(line string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		resp, err := http.Get("http://" + s.addr + "/metrics")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return strings.Contains(string(b), line+"\n")
	}, transacttest.Patience, 5*time.Millisecond, line)
}

func TestTheIntentIsOnRecordBeforeTheMail(t *testing.T) {
	s := newShop(t)
	hold := make(chan struct{})
	s.smtp.At(smtptest.Content, 1, smtptest.WaitFor(hold))
	s.run()
	s.row("1")
	s.smtp.AwaitStep(smtptest.Content, 1)
	l := s.await("1", sending)
	require.Nil(t, l.SentAt)
	require.Equal(t, "franz@example.com", l.To)
	close(hold)
	l = s.await("1", sent)
	require.NotNil(t, l.SentAt)
	require.Nil(t, l.Row, "what is sent isn't kept")
	require.Equal(t, []status{queued, sending, sent}, s.statuses("1"))
	got := s.smtp.Await(1)[0]
	require.Equal(t, []string{"franz@example.com"}, got.To)
	require.Equal(t, "<"+l.MessageID+">", got.Header("Message-ID"))
}

func TestOneMailAnOrder(t *testing.T) {
	s := newShop(t)
	s.run()
	for range 3 {
		s.row("1")
	}
	s.await("1", sent)
	s.row("1")
	s.row("2")
	s.await("2", sent)
	s.stop()
	s.run()
	s.row("1")
	s.row("3")
	s.await("3", sent)
	require.Len(t, s.smtp.Mails(), 3)
}

// What the server refuses for the moment is tried again, at each step, and what
// it refuses for good is shown to an operator.
func TestARefusingServer(t *testing.T) {
	s := newShop(t)
	s.run()
	for i, step := range []smtptest.Step{smtptest.Connect, smtptest.Hello, smtptest.Mail, smtptest.Rcpt, smtptest.Data, smtptest.Dot} {
		id := fmt.Sprintf("later-%s", step)
		s.smtp.At(step, 2, smtptest.Reply("451 4.3.0 later"))
		s.row(id)
		l := s.await(id, sent)
		require.Len(t, s.smtp.Mails(), i+1, step)
		require.LessOrEqual(t, l.Attempts, 3)
	}
	for _, step := range []smtptest.Step{smtptest.Rcpt, smtptest.Data, smtptest.Dot} {
		id := fmt.Sprintf("never-%s", step)
		s.smtp.At(step, 1, smtptest.Reply("550 5.1.1 no such mailbox"))
		s.row(id)
		l := s.await(id, refused)
		require.Contains(t, l.Reason, "no such mailbox")
		require.NotNil(t, l.Row)
	}
	require.Len(t, s.smtp.Mails(), 6)
	s.metric(`email_attempts_total{outcome="rejected"} 3`)
}

// The connection breaks at each step: the mail comes, and where nobody can know
// whether it did, the policy holds.
func TestAServerThatHangsUp(t *testing.T) {
	for _, resend := range []bool{false, true} {
		s := newShop(t)
		s.set.policy.resend = resend
		s.run()
		for _, step := range smtptest.Steps {
			id := string(step)
			s.smtp.At(step, 1, smtptest.HangUp())
			s.row(id)
			// A mail as small as this one goes out in one piece, its end included.
			doubt := step == smtptest.Content || step == smtptest.Dot || step == smtptest.Taken
			if !resend && doubt {
				l := s.await(id, held)
				require.Contains(t, l.Reason, "may have been delivered")
			} else {
				s.await(id, sent)
			}
		}
		count := map[string]int{}
		ids := map[string]string{}
		for _, m := range s.smtp.Mails() {
			count[m.OrderID()]++
			if was := ids[m.OrderID()]; was != "" {
				require.Equal(t, was, m.Header("Message-ID"), "the same at each attempt")
			}
			ids[m.OrderID()] = m.Header("Message-ID")
		}
		want := map[string]int{"connect": 1, "hello": 1, "mail": 1, "rcpt": 1, "data": 1, "taken": 1}
		if resend {
			want["content"], want["dot"], want["taken"] = 1, 1, 2
		}
		require.Equal(t, want, count)
	}
}

func TestASlowServer(t *testing.T) {
	s := newShop(t)
	s.set.smtp.timeout = 300 * time.Millisecond
	s.run()
	for _, step := range []smtptest.Step{smtptest.Connect, smtptest.Hello, smtptest.Mail, smtptest.Rcpt, smtptest.Data} {
		s.smtp.At(step, 1, smtptest.Wait(time.Minute))
		s.row(string(step))
		s.await(string(step), sent)
	}
	require.Len(t, s.smtp.Mails(), 5)
}

func TestAServerThatIsAway(t *testing.T) {
	s := newShop(t)
	s.smtp.Stop()
	s.run()
	for i := range 20 {
		s.row(fmt.Sprint(i))
	}
	s.metric("email_smtp_up 0")
	for _, l := range s.letters() {
		require.Equal(t, queued, l.Status, "nothing is in doubt")
		require.Zero(t, l.Attempts)
	}
	s.stop()
	s.run()
	s.smtp.Restart()
	s.smtp.Await(20)
	for i := range 20 {
		s.await(fmt.Sprint(i), sent)
	}
	require.Len(t, s.smtp.Mails(), 20)
}

func TestAMailThatNeverGetsThroughIsHeld(t *testing.T) {
	s := newShop(t)
	s.set.policy.retryFor = 200 * time.Millisecond
	s.smtp.At(smtptest.Rcpt, -1, smtptest.Reply("450 busy"))
	s.run()
	s.row("1")
	l := s.await("1", held)
	require.Contains(t, l.Reason, "not sent within 200ms")
	require.Contains(t, l.Reason, `450 busy`)
}

func TestACustomerWithoutAnAddress(t *testing.T) {
	s := newShop(t)
	s.run()
	s.row("none", `"EMAIL":null`)
	s.row("bad", `"EMAIL":"not an address\r\nBcc: x@example.com"`)
	require.Equal(t, "the customer has no address", s.await("none", noAddress).Reason)
	require.Contains(t, s.await("bad", noAddress).Reason, "isn't an e-mail address")
	s.row("none", `"EMAIL":"late@example.com"`) // the row comes again, with the address
	require.Equal(t, "late@example.com", s.await("none", sent).To)
	require.Len(t, s.smtp.Mails(), 1)
}

func TestMalformedRowsArePassedBy(t *testing.T) {
	s := newShop(t)
	s.run()
	bad := []string{`{"PRODUCT":`, "\x00\xff", `[]`, `{}`, `{"PRODUCT":7}`, `7`}
	for i, text := range bad {
		s.broker.Put(rowsTopic, fmt.Sprintf("bad-%d", i), text)
	}
	s.broker.Put(rowsTopic, "", rowText()) // no key
	s.broker.Put(rowsTopic, "deleted", "") // a tombstone
	s.row("good")
	s.await("good", sent)
	s.metric(`transact_poison_records_total{group="email",topic="order-emails"} 7`)
	require.Contains(t, s.log.String(), "bad record passed by")
	require.Len(t, s.smtp.Mails(), 1)
	require.Len(t, s.letters(), 1)
}

func TestAnOperatorDecides(t *testing.T) {
	s := newShop(t)
	s.smtp.At(smtptest.Rcpt, 2, smtptest.Reply("550 no"))
	s.run()
	s.row("a")
	s.await("a", refused)
	s.row("b")
	s.await("b", refused)
	s.row("c", `"EMAIL":""`)
	s.await("c", noAddress)
	s.broker.Put(commandsTopic, "a", `{"action":"send"}`)
	s.broker.Put(commandsTopic, "b", `{"action":"drop"}`)
	s.broker.Put(commandsTopic, "c", `{"action":"send","to":"c@example.com"}`)
	s.broker.Put(commandsTopic, "d", `{"action":"send"}`) // no such mail
	s.broker.Put(commandsTopic, "a", `{"action":"burn"}`)
	s.await("a", sent)
	require.Nil(t, s.await("b", dropped).Row)
	require.Equal(t, "c@example.com", s.await("c", sent).To)
	s.broker.Put(commandsTopic, "a", `{"action":"send"}`) // sent already
	s.row("e")
	s.await("e", sent)
	require.Len(t, s.smtp.Mails(), 3)
}

// A replica that comes takes half of the partitions over while mails are being
// sent: none is lost, doubled or held.
func TestAnotherReplicaComes(t *testing.T) {
	s := newShop(t)
	s.smtp.Hook(func(step smtptest.Step, _ string) smtptest.Action {
		if step == smtptest.Dot {
			return smtptest.Wait(20 * time.Millisecond)
		}
		return smtptest.GoOn()
	})
	s.run()
	const n = 200
	for i := range n / 2 {
		s.row(fmt.Sprint(i))
	}
	s.smtp.Await(20)
	second := *s
	second.set.InstanceID, second.set.StateDir, second.log = "email-1", t.TempDir(), &syncBuffer{}
	second.run()
	for i := n / 2; i < n; i++ {
		s.row(fmt.Sprint(i))
	}
	for i := range n {
		s.await(fmt.Sprint(i), sent)
	}
	second.stop()
	s.stop()
	require.Len(t, s.smtp.Mails(), n)
}

// A stop in the middle of a mail waits for the mail, and for its record.
func TestAStopWaitsForTheMailUnderWay(t *testing.T) {
	s := newShop(t)
	hold := make(chan struct{})
	s.smtp.At(smtptest.Taken, 1, smtptest.WaitFor(hold))
	s.run()
	s.row("1")
	s.smtp.AwaitStep(smtptest.Taken, 1)
	time.AfterFunc(100*time.Millisecond, func() { close(hold) })
	s.stop()
	require.Equal(t, []status{queued, sending, sent}, s.statuses("1"))
}
