package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sidestream/sidestream/services/email/smtptest"
)

// The email service's program is there twice, in Go and in Node.js. One suite
// runs against both, beside the same SQL.
var emailers = []string{"go", "node"}

// mailing is a stack of the email service alone: its sidecar, its program, and an
// SMTP server. Orders, payments and customers are written as their owners would.
type mailing struct {
	*stack
	smtp *smtptest.Server
}

// startMailing starts it; settings are further ones of the program.
func startMailing(t testing.TB, emailer string, settings map[string]string) *mailing {
	t.Helper()
	m := &mailing{smtp: smtptest.Start(t, smtptest.Options{})}
	env := map[string]string{
		"SMTP_ADDR": m.smtp.Addr(), "SMTP_TLS": "none", "EMAIL_RETRY_MIN": "20ms", "EMAIL_RETRY_MAX": "200ms", "LOG_LEVEL": "debug",
	}
	for k, v := range settings {
		env[k] = v
	}
	o := options{only: []string{"email"}, env: env}
	if emailer == "node" {
		o.programs = map[string][]string{"email": nodeEmailer(t)}
	}
	m.stack = start(t, o)
	return m
}

// nodeEmailer is the command of the Node.js program, its packages installed.
// Without Node.js the test is skipped.
func nodeEmailer(t testing.TB) []string {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("Node.js isn't installed: the Node.js emailer isn't tested")
	}
	dir := filepath.Join(root, "services", "emailer-node")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "nodemailer")); err != nil {
		cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("the packages of services/emailer-node can't be installed, so the Node.js emailer isn't tested: npm ci: %v\n%s", err, out)
		}
	}
	return []string{node, filepath.Join(dir, "main.js")}
}

func (m *mailing) customer(id int64, more fieldsOf) {
	m.t.Helper()
	fields := fieldsOf{"id": id, "firstName": "Franz", "lastName": "Kafka", "email": fmt.Sprintf("c%d@example.com", id), "level": "gold"}
	for k, v := range more {
		fields[k] = v
	}
	m.produce("customers", string(binary.BigEndian.AppendUint64(nil, uint64(id))), fields)
}

// state writes an order in a state: customer, UNDERPANTS × 3 at 5.00.
func (m *mailing) state(id string, customer int64, state string, at time.Time) {
	m.t.Helper()
	m.produceAt("orders", id, orderFields(id, int(customer), state, "UNDERPANTS", 3, "5.00"), at)
}

func (m *mailing) pay(paymentID, orderID string, at time.Time) {
	m.t.Helper()
	m.produceAt("payments", paymentID, fieldsOf{"id": paymentID, "orderId": orderID, "ccy": "CZK", "amount": json.Number("1000.00")}, at)
}

// paid is an order that was validated and paid.
func (m *mailing) paid(id string, customer int64) {
	m.t.Helper()
	now := time.Now()
	m.state(id, customer, "CREATED", now)
	m.state(id, customer, "VALIDATED", now)
	m.pay("p-"+id, id, now)
}

// awaitStatus waits until an order's mail has one of the statuses on record.
func (m *mailing) awaitStatus(id string, want ...string) record {
	m.t.Helper()
	var last record
	m.eventually(60*time.Second, fmt.Sprintf("the mail of order %s is %v", id, want), func() error {
		records, err := m.tryRead("emails-sent")
		if err != nil {
			return err
		}
		for _, r := range records {
			if string(r.Key) == id {
				last = r
			}
		}
		for _, w := range want {
			if last.Record != nil && last.str("STATUS") == w {
				return nil
			}
		}
		return fmt.Errorf("it is %v", last.fields)
	})
	return last
}

// mailsOf counts the mails that the server has taken for each order.
func (m *mailing) mailsOf() map[string]int {
	out := map[string]int{}
	for _, mail := range m.smtp.Mails() {
		out[mail.OrderID()]++
	}
	return out
}

func (m *mailing) get(path string) (int, string) {
	m.t.Helper()
	req, err := http.NewRequest(http.MethodGet, m.urls["email"]+path, nil)
	require.NoError(m.t, err)
	if strings.HasSuffix(path, "#page") {
		req.Header.Set("Accept", "text/html")
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(m.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(m.t, err)
	return resp.StatusCode, string(b)
}

// TestEmail is the acceptance suite, on one stack for each emailer.
func TestEmail(t *testing.T) {
	for _, emailer := range emailers {
		t.Run(emailer, func(t *testing.T) {
			m := startMailing(t, emailer, nil)
			sub := func(name string, test func(*testing.T, *mailing)) {
				t.Run(name, func(sub *testing.T) {
					m.t = sub
					defer func() { m.t = t }()
					m.smtp.Hook(nil)
					test(sub, m)
				})
			}
			sub("Scenario01EverythingIsSentBeforeTheServiceStarts", scenario01)
			sub("FlawAFailedOrderWithAPaymentIsMailed", flawFailed)
			sub("FlawValidatedAndCreatedAreBothMailed", flawCreated)
			sub("FlawAPayment61sLateLosesTheMail", flawLatePayment)
			sub("FlawAnUnknownCustomerIsDroppedAndNeverRetried", flawUnknownCustomer)
			sub("AnOrderThatIsPaidTwiceIsMailedOnce", paidTwice)
			sub("PlatinumCustomersGetThePlatinumMail", platinum)
			sub("MarkupInNamesIsEscaped", markup)
			sub("ACustomerWithoutAnAddressIsOnRecord", withoutAddress)
			sub("MalformedRowsArePassedBy", malformed)
			sub("ARefusingServer", refusing)
			sub("AServerThatHangsUpAtEachStep", hangingUp)
			sub("AServerThatIsAway", away)
			sub("AnOperatorDecides", operator)
			sub("StatsSurviveRestarts", statsSurvive)
			sub("RestartsSendNothingTwice", restarts)
			sub("ACrashBetweenIntentAndResult", crash)
			sub("ASlowServerIsNotWaitedForForEver", slow)
		})
	}
}

// The whole flow, from the POST to the mail.
func TestEmailWholeFlow(t *testing.T) {
	m := &mailing{smtp: smtptest.Start(t, smtptest.Options{})}
	m.stack = start(t, options{
		only: []string{"orders", "fraud", "inventory", "details", "email"},
		env:  map[string]string{"SMTP_ADDR": m.smtp.Addr(), "SMTP_TLS": "none"},
	})
	m.customer(1, nil)
	m.stock("JUMPERS", 1)
	m.post(newOrder("good", 1, "JUMPERS", 1, "20.00"))
	require.Equal(t, "VALIDATED", m.final("good").State)
	m.post(newOrder("bad", 1, "JUMPERS", 1, "20.00"))
	require.Equal(t, "FAILED", m.final("bad").State, "there was one")
	m.pay("p-bad", "bad", time.Now())
	m.pay("p-good", "good", time.Now())
	m.awaitStatus("good", "SENT")
	m.post(newOrder("last", 1, "JUMPERS", -1, "20.00"))
	m.final("last")
	assert.Equal(t, map[string]int{"good": 1}, m.mailsOf())
	assert.Equal(t, map[string]string{"good": "gold", "bad": "gold", "last": "gold"}, byKey(m.await("gold", 3), "CUSTOMERLEVEL"))
}

// The small tests of the Node.js program.
func TestEmailerNode(t *testing.T) {
	command := nodeEmailer(t)
	cmd := exec.Command(command[0], "--test", "test/")
	cmd.Dir = filepath.Dir(command[1])
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// Scenario 1 of the reference: the mailer gets exactly that order, payment and
// customer.
func scenario01(t *testing.T, m *mailing) {
	m.terminate("email")
	now := time.Now()
	m.customer(15, nil)
	m.state("0", 15, "CREATED", now)
	m.pay("Payment:1234", "0", now)
	m.state("0", 15, "VALIDATED", now)
	row := m.await("order-emails", 1)[0]
	assert.Equal(t, "0", string(row.Key))
	for field, want := range map[string]string{
		"CUSTOMERID": "15", "PRODUCT": "UNDERPANTS", "QUANTITY": "3", "PRICE": "5.00", "PAYMENTID": "Payment:1234", "AMOUNT": "1000.00", "CCY": "CZK",
		"FIRSTNAME": "Franz", "LASTNAME": "Kafka", "EMAIL": "c15@example.com", "LEVEL": "gold", "KIND": "order",
	} {
		assert.Equal(t, want, row.str(field), field)
	}
	m.run("email")
	m.ready("email")
	mail := m.smtp.Await(1)[0]
	assert.Equal(t, []string{"c15@example.com"}, mail.To)
	assert.Equal(t, "Your order 0: 3 × UNDERPANTS", mail.Header("Subject"))
	for _, media := range []string{"text/plain", "text/html"} {
		for _, want := range []string{"Hello Franz", "UNDERPANTS", "5.00", "1000.00 CZK", "Payment:1234"} {
			assert.Contains(t, mail.Part(media), want, media)
		}
	}
	sent := m.awaitStatus("0", "SENT")
	assert.Equal(t, "c15@example.com", sent.str("TO"))
	assert.Equal(t, "gold", sent.str("LEVEL"))
	assert.Equal(t, "order", sent.str("KIND"))
	assert.NotEmpty(t, sent.fields["SENTAT"])
	assert.Equal(t, "<"+sent.str("MESSAGEID")+">", mail.Header("Message-ID"))
	assert.Equal(t, "order-d13029fdf75c59a3a5fc3851@example.com", sent.str("MESSAGEID"), "the same in every program")
	assert.Equal(t, map[string]string{"0": "gold"}, byKey(m.await("gold", 1), "CUSTOMERLEVEL"))
}

func flawFailed(t *testing.T, m *mailing) {
	now := time.Now()
	m.state("failed", 15, "CREATED", now)
	m.pay("p-failed", "failed", now)
	m.state("failed", 15, "FAILED", now)
	m.paid("after-failed", 15)
	m.awaitStatus("after-failed", "SENT")
	assert.Zero(t, m.mailsOf()["failed"])
}

func flawCreated(t *testing.T, m *mailing) {
	m.paid("twice", 15)
	m.awaitStatus("twice", "SENT")
	m.state("twice", 15, "SHIPPED", time.Now())
	m.paid("after-twice", 15)
	m.awaitStatus("after-twice", "SENT")
	assert.Equal(t, 1, m.mailsOf()["twice"])
}

func flawLatePayment(t *testing.T, m *mailing) {
	now := time.Now()
	for id, late := range map[string]time.Duration{"61s": 61 * time.Second, "hour": time.Hour, "early": -time.Hour} {
		m.state(id, 15, "CREATED", now)
		m.state(id, 15, "VALIDATED", now)
		m.pay("p-"+id, id, now.Add(late))
	}
	for _, id := range []string{"61s", "hour", "early"} {
		m.awaitStatus(id, "SENT")
		assert.Equal(t, 1, m.mailsOf()[id], id)
	}
}

func flawUnknownCustomer(t *testing.T, m *mailing) {
	m.paid("early-bird", 77)
	m.eventually(30*time.Second, "the order waits for its customer", func() error {
		records, err := m.tryRead("orders-without-customer")
		if err == nil && byKey(records, "CUSTOMERID")["early-bird"] != "77" {
			err = fmt.Errorf("there are %v", byKey(records, "CUSTOMERID"))
		}
		return err
	})
	assert.Zero(t, m.mailsOf()["early-bird"])
	m.customer(77, fieldsOf{"level": "silver"})
	m.awaitStatus("early-bird", "SENT")
	assert.Equal(t, 1, m.mailsOf()["early-bird"])
	assert.Equal(t, "silver", byKey(m.await("silver", 1), "CUSTOMERLEVEL")["early-bird"])
	m.customer(77, fieldsOf{"level": "silver", "email": "new@example.com"}) // its row comes again, its mail doesn't
	m.paid("late-bird", 77)
	m.awaitStatus("late-bird", "SENT")
	assert.Equal(t, 1, m.mailsOf()["early-bird"])
}

func paidTwice(t *testing.T, m *mailing) {
	m.paid("again", 15)
	m.awaitStatus("again", "SENT")
	m.pay("p-again-2", "again", time.Now())
	m.paid("after-again", 15)
	m.awaitStatus("after-again", "SENT")
	assert.Equal(t, 1, m.mailsOf()["again"])
}

func platinum(t *testing.T, m *mailing) {
	m.customer(16, fieldsOf{"firstName": "Ada", "level": "platinum"})
	m.paid("platinum", 16)
	m.awaitStatus("platinum", "SENT")
	for _, mail := range m.smtp.Mails() {
		if mail.OrderID() == "platinum" {
			assert.Equal(t, "Platinum: your order platinum goes first", mail.Header("Subject"))
			assert.Contains(t, mail.Part("text/plain"), "Dear Ada,")
			assert.Contains(t, mail.Part("text/html"), "<strong>platinum</strong> customer")
		} else {
			assert.NotContains(t, mail.Header("Subject"), "Platinum:")
		}
	}
	assert.Equal(t, map[string]string{"platinum": "c16@example.com"}, byKey(m.await("platinum-emails", 1), "EMAIL"))
}

func markup(t *testing.T, m *mailing) {
	m.customer(17, fieldsOf{"firstName": `<script>alert("x")</script>`, "lastName": "Eve\r\nBcc: all@example.com"})
	m.paid("markup", 17)
	m.awaitStatus("markup", "SENT")
	for _, mail := range m.smtp.Mails() {
		if mail.OrderID() != "markup" {
			continue
		}
		assert.NotContains(t, mail.Part("text/html"), "<script>")
		assert.Contains(t, mail.Part("text/html"), "&lt;script&gt;")
		assert.Empty(t, mail.Header("Bcc"))
		assert.Equal(t, []string{"c17@example.com"}, mail.To)
	}
}

func withoutAddress(t *testing.T, m *mailing) {
	m.customer(18, fieldsOf{"email": nil})
	m.customer(19, fieldsOf{"email": "not an address"})
	m.paid("no-address", 18)
	m.paid("bad-address", 19)
	assert.Contains(t, m.awaitStatus("no-address", "NO_ADDRESS").str("REASON"), "no address")
	assert.Contains(t, m.awaitStatus("bad-address", "NO_ADDRESS").str("REASON"), "isn't an e-mail address")
}

func malformed(t *testing.T, m *mailing) {
	for i, text := range []string{`{"PRODUCT":`, "\x00\xff", `[]`, `{}`, `{"PRODUCT":7,"PAYMENTID":"p","QUANTITY":1}`, `{"PRODUCT":"HATS","PAYMENTID":"p","QUANTITY":"many"}`} {
		m.produce("order-emails", fmt.Sprintf("malformed-%d", i), []byte(text))
	}
	ctx := t.Context()
	require.NoError(t, m.client.ProduceSync(ctx, &kgo.Record{Topic: "order-emails", Value: []byte(`{}`)}).FirstErr())
	m.paid("after-malformed", 15)
	m.awaitStatus("after-malformed", "SENT")
	m.eventually(30*time.Second, "seven bad rows are counted", func() error {
		_, text := m.get("/metrics")
		if want := `transact_poison_records_total{group="email",topic="order-emails"} 7`; !strings.Contains(text, want+"\n") {
			return fmt.Errorf("there is no %s", want)
		}
		return nil
	})
	assert.Contains(t, m.log("email"), "bad record passed by")
}

func refusing(t *testing.T, m *mailing) {
	for _, step := range []smtptest.Step{smtptest.Connect, smtptest.Mail, smtptest.Rcpt, smtptest.Data, smtptest.Dot} {
		id := "later-" + string(step)
		m.smtp.At(step, 2, smtptest.Reply("451 4.3.0 later"))
		m.paid(id, 15)
		m.awaitStatus(id, "SENT")
		assert.Equal(t, 1, m.mailsOf()[id], step)
	}
	for _, step := range []smtptest.Step{smtptest.Rcpt, smtptest.Data, smtptest.Dot} {
		id := "never-" + string(step)
		m.smtp.At(step, 1, smtptest.Reply("550 5.1.1 no such mailbox"))
		m.paid(id, 15)
		assert.Contains(t, m.awaitStatus(id, "REFUSED").str("REASON"), "no such mailbox")
		assert.Zero(t, m.mailsOf()[id], step)
	}
}

func hangingUp(t *testing.T, m *mailing) {
	for _, step := range smtptest.Steps {
		id := "hang-" + string(step)
		m.smtp.At(step, 1, smtptest.HangUp())
		m.paid(id, 15)
		// A mail as small as this one goes out in one piece, its end included: from
		// there on nobody knows.
		switch step {
		case smtptest.Content, smtptest.Dot, smtptest.Taken:
			assert.Contains(t, m.awaitStatus(id, "HELD").str("REASON"), "may have been delivered")
			assert.LessOrEqual(t, m.mailsOf()[id], 1, step)
		default:
			m.awaitStatus(id, "SENT")
			assert.Equal(t, 1, m.mailsOf()[id], step)
		}
	}
}

func away(t *testing.T, m *mailing) {
	m.smtp.Stop()
	for i := range 10 {
		m.paid(fmt.Sprintf("away-%d", i), 15)
	}
	m.awaitStatus("away-9", "QUEUED")
	m.terminate("email")
	m.run("email")
	m.ready("email")
	m.smtp.Restart()
	for i := range 10 {
		id := fmt.Sprintf("away-%d", i)
		m.awaitStatus(id, "SENT")
		assert.Equal(t, 1, m.mailsOf()[id])
	}
}

func operator(t *testing.T, m *mailing) {
	m.smtp.At(smtptest.Rcpt, 1, smtptest.Reply("550 no"))
	m.paid("decide-send", 15)
	m.awaitStatus("decide-send", "REFUSED")
	m.smtp.At(smtptest.Rcpt, 1, smtptest.Reply("550 no"))
	m.paid("decide-drop", 15)
	m.awaitStatus("decide-drop", "REFUSED")
	m.customer(20, fieldsOf{"email": ""})
	m.paid("decide-to", 20)
	m.awaitStatus("decide-to", "NO_ADDRESS")

	m.eventually(30*time.Second, "the operator sees them", func() error {
		status, text := m.get("/admin/held")
		var held struct {
			Held []struct{ OrderID, Status, Reason, MessageID string }
		}
		if err := json.Unmarshal([]byte(text), &held); status != http.StatusOK || err != nil {
			return fmt.Errorf("%d %s", status, text)
		}
		seen := map[string]string{}
		for _, h := range held.Held {
			seen[h.OrderID] = h.Status
		}
		for id, want := range map[string]string{"decide-send": "REFUSED", "decide-drop": "REFUSED", "decide-to": "NO_ADDRESS"} {
			if seen[id] != want {
				return fmt.Errorf("%s is %q in %v", id, seen[id], seen)
			}
		}
		return nil
	})
	post := func(path string, body any) answer {
		return m.call(http.MethodPost, m.urls["email"]+"/admin/held/"+path, body)
	}
	assert.Equal(t, http.StatusNotFound, post("nobody/send", nil).status)
	assert.Equal(t, http.StatusUnprocessableEntity, post("decide-to/send", nil).status, "an address is needed")
	assert.Equal(t, http.StatusUnprocessableEntity, post("decide-to/send", fieldsOf{"to": "not one"}).status)
	assert.Equal(t, http.StatusUnprocessableEntity, post("decide-drop/drop", fieldsOf{"too": "x@example.com"}).status)
	assert.Equal(t, http.StatusAccepted, post("decide-send/send", nil).status)
	assert.Equal(t, http.StatusAccepted, post("decide-drop/drop", nil).status)
	assert.Equal(t, http.StatusAccepted, post("decide-to/send", fieldsOf{"to": "new@example.com"}).status)
	m.awaitStatus("decide-send", "SENT")
	m.awaitStatus("decide-drop", "DROPPED")
	assert.Equal(t, "new@example.com", m.awaitStatus("decide-to", "SENT").str("TO"))
	m.eventually(30*time.Second, "what is sent can't be decided", func() error {
		if a := post("decide-send/send", nil); a.status != http.StatusConflict {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
	assert.Equal(t, 1, m.mailsOf()["decide-send"])
	assert.Zero(t, m.mailsOf()["decide-drop"])
}

// figures are those of the topic, and the answer of /admin/stats must have them.
func (m *mailing) figures() {
	m.t.Helper()
	statuses := byKey(m.read("emails-sent"), "STATUS")
	levels := byKey(m.read("emails-sent"), "LEVEL")
	want := map[string]int64{}
	var total int64
	for id, status := range statuses {
		if status == "SENT" {
			want[levels[id]]++
			total++
		}
	}
	m.eventually(30*time.Second, "the stats are those of the topic", func() error {
		status, text := m.get("/admin/stats")
		var got struct {
			Total  int64
			Levels []struct {
				Level string
				Sent  int64
			}
			Hours []struct {
				Hour  time.Time
				Level string
				Sent  int64
			}
			Statuses map[string]int64
		}
		if err := json.Unmarshal([]byte(text), &got); status != http.StatusOK || err != nil {
			return fmt.Errorf("%d %s", status, text)
		}
		hours := map[string]int64{}
		for _, h := range got.Hours {
			hours[h.Level] += h.Sent
		}
		for _, l := range got.Levels {
			if want[l.Level] != l.Sent || hours[l.Level] != l.Sent {
				return fmt.Errorf("level %s: %d in all, %d by hours, want %d", l.Level, l.Sent, hours[l.Level], want[l.Level])
			}
		}
		if got.Total != total || len(got.Levels) != len(want) || got.Statuses["SENT"] != total {
			return fmt.Errorf("%s, want %d in %v", text, total, want)
		}
		return nil
	})
}

func statsSurvive(t *testing.T, m *mailing) {
	m.figures()
	for _, name := range []string{"email", "email-sidecar"} {
		m.terminate(name)
	}
	for _, name := range []string{"email-sidecar", "email"} {
		m.run(name)
		m.ready(name)
	}
	m.paid("after-restart", 15)
	m.awaitStatus("after-restart", "SENT")
	m.figures()
	status, page := m.get("/admin/stats#page")
	assert.Equal(t, http.StatusOK, status)
	for _, want := range []string{"<svg", "gold", "Waiting for an operator", "never-rcpt"} {
		assert.Contains(t, page, want)
	}
	assert.NotContains(t, page, "<script")
	assert.NotContains(t, page, "http://")
	status, _ = m.get("/admin/stats?hours=0")
	assert.Equal(t, http.StatusBadRequest, status)
}

func restarts(t *testing.T, m *mailing) {
	before := m.mailsOf()
	m.terminate("email")
	m.run("email")
	m.ready("email")
	m.paid("after-all", 15)
	m.awaitStatus("after-all", "SENT")
	after := m.mailsOf()
	delete(after, "after-all")
	assert.Equal(t, before, after)
	for id, n := range after {
		assert.Equal(t, 1, n, id)
	}
}

// The program is killed when the server has the mail and hasn't said so.
func crash(t *testing.T, m *mailing) {
	for _, policy := range []string{"hold", "resend"} {
		m.terminate("email")
		p := m.procs["email"]
		p.env = append(p.env, "EMAIL_CRASH_POLICY="+policy)
		m.run("email")
		m.ready("email")
		id := "crash-" + policy
		dead, reached, first := make(chan struct{}), make(chan struct{}), true
		m.smtp.Hook(func(step smtptest.Step, order string) smtptest.Action {
			if step != smtptest.Taken || order != id || !first {
				return smtptest.GoOn()
			}
			first = false
			close(reached)
			return smtptest.WaitFor(dead)
		})
		m.paid(id, 15)
		<-reached
		assert.Equal(t, "SENDING", m.awaitStatus(id, "SENDING").str("STATUS"), "the intent is on record")
		m.kill("email")
		close(dead)
		m.run("email")
		m.ready("email")
		if policy == "hold" {
			held := m.awaitStatus(id, "HELD")
			assert.Contains(t, held.str("REASON"), "the program ended while it sent this mail")
			m.paid("after-"+id, 15)
			m.awaitStatus("after-"+id, "SENT")
			assert.Equal(t, 1, m.mailsOf()[id])
			continue
		}
		m.awaitStatus(id, "SENT")
		var ids []string
		for _, mail := range m.smtp.Mails() {
			if mail.OrderID() == id {
				ids = append(ids, mail.Header("Message-ID"))
			}
		}
		require.Len(t, ids, 2, "resend: none is lost, and one more may come")
		assert.Equal(t, ids[0], ids[1], "by which it is known")
	}
}

// The server hangs once at each step before a mail is out.
func slow(t *testing.T, m *mailing) {
	m.terminate("email")
	p := m.procs["email"]
	p.env = append(p.env, "SMTP_TIMEOUT=3s")
	m.run("email")
	m.ready("email")
	hung := map[smtptest.Step]bool{}
	m.smtp.Hook(func(step smtptest.Step, _ string) smtptest.Action {
		switch step {
		case smtptest.Connect, smtptest.Hello, smtptest.Mail, smtptest.Rcpt, smtptest.Data:
			if !hung[step] {
				hung[step] = true
				return smtptest.Wait(time.Minute)
			}
		}
		return smtptest.GoOn()
	})
	for i := range 6 {
		m.paid(fmt.Sprintf("slow-%d", i), 15)
	}
	for i := range 6 {
		id := fmt.Sprintf("slow-%d", i)
		m.awaitStatus(id, "SENT")
		assert.Equal(t, 1, m.mailsOf()[id])
	}
}
