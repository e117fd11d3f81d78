package main

import (
	"embed"
	"fmt"
	html "html/template"
	netmail "net/mail"
	"strings"
	text "text/template"
	"time"

	mail "github.com/wneessen/go-mail"

	"github.com/sidestream/sidestream/services/internal/order"
)

//go:embed templates
var templateFiles embed.FS

// ordinary is the kind of mail where there is no template of the row's kind.
const ordinary = "order"

// renderer makes messages. A kind of mail is three templates: its subject, its
// text and its HTML, which escapes what it is given.
type renderer struct {
	from *netmail.Address
	text *text.Template
	html *html.Template
	now  func() time.Time
}

func newRenderer(from *netmail.Address) (*renderer, error) {
	t, err := text.ParseFS(templateFiles, "templates/*.subject", "templates/*.txt")
	if err != nil {
		return nil, fmt.Errorf("mail templates: %w", err)
	}
	h, err := html.ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("mail templates: %w", err)
	}
	return &renderer{from: from, text: t, html: h, now: time.Now}, nil
}

// view is what the templates see. All text is on one line.
type view struct {
	OrderID, Product, PaymentID, Currency string
	FirstName, LastName, Level            string
	Quantity                              int32
	Price, Amount                         order.Money
}

// message makes the mail of a letter.
func (r *renderer) message(l *letter) (*mail.Msg, error) {
	v := view{
		OrderID: line(l.OrderID), Product: line(l.Row.Product), PaymentID: line(l.Row.PaymentID), Currency: line(l.Row.Currency),
		FirstName: line(l.Row.FirstName), LastName: line(l.Row.LastName), Level: line(l.Row.Level),
		Quantity: l.Row.Quantity, Price: l.Row.Price, Amount: l.Row.Amount,
	}
	kind := l.Kind
	if kind == "" || r.html.Lookup(kind+".html") == nil {
		kind = ordinary
	}
	var subject, plain, rich strings.Builder
	if err := r.text.ExecuteTemplate(&subject, kind+".subject", v); err != nil {
		return nil, err
	}
	if err := r.text.ExecuteTemplate(&plain, kind+".txt", v); err != nil {
		return nil, err
	}
	if err := r.html.ExecuteTemplate(&rich, kind+".html", v); err != nil {
		return nil, err
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.FromMailAddress(r.from)
	m.ToMailAddress(&netmail.Address{Name: strings.TrimSpace(v.FirstName + " " + v.LastName), Address: l.To})
	m.Subject(strings.TrimSpace(subject.String()))
	m.SetMessageIDWithValue(l.MessageID)
	m.SetDateWithValue(r.now())
	m.SetGenHeader("X-Order-ID", v.OrderID)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(mail.TypeTextPlain, plain.String())
	m.AddAlternativeString(mail.TypeTextHTML, rich.String())
	return m, nil
}
