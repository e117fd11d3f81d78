package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidestream/sidestream/services/internal/web"
	"github.com/sidestream/sidestream/sidecar/client"
)

// sqlView asks the SQL tables of ksql/email/06-stats.sql.
type sqlView struct {
	client *client.Client
}

// stats are the figures of GET /admin/stats.
type stats struct {
	Total    int64            `json:"total"`    // mails sent
	Levels   []levelCount     `json:"levels"`   // by customer level, in alphabetical order
	Hours    []hourCount      `json:"hours"`    // by hour and level, in order of time
	Statuses map[string]int64 `json:"statuses"` // mails by what they are now
	Held     []heldMail       `json:"-"`
}

type levelCount struct {
	Level string `json:"level"`
	Sent  int64  `json:"sent"`
}

type hourCount struct {
	Hour  time.Time `json:"hour"` // its beginning
	Level string    `json:"level"`
	Sent  int64     `json:"sent"`
}

// stats are the figures of all time, and of the given number of hours up to now.
func (v *sqlView) stats(ctx context.Context, now time.Time, hours int) (*stats, error) {
	s := &stats{Levels: []levelCount{}, Hours: []hourCount{}, Statuses: map[string]int64{}}
	err := v.each(ctx, `SELECT level, sent FROM emails_by_level;`, func(r client.Row) error {
		var c levelCount
		err := r.Scan(&c.Level, &c.Sent)
		s.Levels = append(s.Levels, c)
		s.Total += c.Sent
		return err
	})
	if err != nil {
		return nil, err
	}
	from := now.Add(-time.Duration(hours-1) * time.Hour).Truncate(time.Hour)
	err = v.each(ctx, `SELECT level, WINDOWSTART, sent FROM emails_by_hour WHERE WINDOWSTART >= ?;`, func(r client.Row) error {
		var c hourCount
		var start int64
		err := r.Scan(&c.Level, &start, &c.Sent)
		c.Hour = time.UnixMilli(start).UTC()
		s.Hours = append(s.Hours, c)
		return err
	}, from.UnixMilli())
	if err != nil {
		return nil, err
	}
	err = v.each(ctx, `SELECT status, emails FROM emails_by_status;`, func(r client.Row) error {
		var status string
		var n int64
		err := r.Scan(&status, &n)
		if n > 0 {
			s.Statuses[status] = n
		}
		return err
	})
	slices.SortFunc(s.Levels, func(a, b levelCount) int { return strings.Compare(a.Level, b.Level) })
	slices.SortFunc(s.Hours, func(a, b hourCount) int {
		if c := a.Hour.Compare(b.Hour); c != 0 {
			return c
		}
		return strings.Compare(a.Level, b.Level)
	})
	return s, err
}

// heldMail is a mail that waits for an operator.
type heldMail struct {
	OrderID   string    `json:"orderId"`
	To        string    `json:"to"`
	Level     string    `json:"level"`
	Kind      string    `json:"kind"`
	Status    status    `json:"status"`
	Reason    string    `json:"reason"`
	MessageID string    `json:"messageId"`
	Attempts  int64     `json:"attempts"`
	Since     time.Time `json:"since"` // when its order was ready to be mailed
}

const heldColumns = "SELECT orderId, `TO`, level, kind, status, reason, messageId, attempts, createdAt FROM emails_view"

// held are the mails that wait for an operator, the oldest first.
func (v *sqlView) held(ctx context.Context) ([]heldMail, error) {
	out := []heldMail{}
	err := v.each(ctx, heldColumns+` WHERE status = 'HELD' OR status = 'REFUSED' OR status = 'NO_ADDRESS';`, func(r client.Row) error {
		h, err := scanHeld(r)
		out = append(out, h)
		return err
	})
	slices.SortFunc(out, func(a, b heldMail) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return strings.Compare(a.OrderID, b.OrderID)
	})
	return out, err
}

// one is the mail of an order in any status, nil for none.
func (v *sqlView) one(ctx context.Context, orderID string) (*heldMail, error) {
	var out *heldMail
	err := v.each(ctx, heldColumns+` WHERE orderId = ?;`, func(r client.Row) error {
		h, err := scanHeld(r)
		out = &h
		return err
	}, orderID)
	return out, err
}

func scanHeld(r client.Row) (heldMail, error) {
	var h heldMail
	var s string
	var since int64
	err := r.Scan(&h.OrderID, &h.To, &h.Level, &h.Kind, &s, &h.Reason, &h.MessageID, &h.Attempts, &since)
	h.Status, h.Since = status(s), time.UnixMilli(since).UTC()
	return h, err
}

func (v *sqlView) each(ctx context.Context, sql string, take func(client.Row) error, args ...any) error {
	sql, err := client.Bind(sql, args...)
	if err != nil {
		return err
	}
	for row, err := range v.client.PullEach(ctx, client.Query{SQL: sql}) {
		if err != nil {
			return err
		}
		if err := take(row); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// hoursOf reads the parameter hours, 24 by default.
func hoursOf(r *http.Request) (int, *web.Problem) {
	const most = 30 * 24 // the table's retention
	text := r.URL.Query().Get("hours")
	if text == "" {
		return 24, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, web.BadParameters(web.QueryError("hours", fmt.Sprintf("is %q, must be a whole number from 1 to %d", text, most)))
	}
	return n, nil
}

// statsView is what the page shows: the chart is drawn here, so that the page
// needs no script.
type statsView struct {
	*stats
	Bars   []bar
	Legend []legend
	Width  int
	Now    []statusCount
}

// bar is a part of an hour's column. Lengths are in the chart's units.
type bar struct {
	X, Y, W, H int
	Color      string
	Title      string
}

type legend struct{ Level, Color string }

type statusCount struct {
	Status string
	Emails int64
}

const chartHeight, columnWidth = 160, 28

var levelColors = map[string]string{"platinum": "#7b8ba3", "gold": "#c9971c", "silver": "#9aa1a8", "bronze": "#a8672f"}

func newStatsView(s *stats) statsView {
	v := statsView{stats: s}
	color := func(level string) string {
		if c := levelColors[level]; c != "" {
			return c
		}
		return "#4f7f6b"
	}
	for _, l := range s.Levels {
		v.Legend = append(v.Legend, legend{l.Level, color(l.Level)})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Statuses)) {
		v.Now = append(v.Now, statusCount{name, s.Statuses[name]})
	}
	totals := map[time.Time]int64{}
	var most int64 = 1
	for _, h := range s.Hours {
		totals[h.Hour] += h.Sent
		most = max(most, totals[h.Hour])
	}
	columns := slices.SortedFunc(maps.Keys(totals), time.Time.Compare)
	v.Width = max(1, len(columns)) * columnWidth
	below := map[time.Time]int{}
	for _, h := range s.Hours {
		height := int(h.Sent * chartHeight / most)
		below[h.Hour] += height
		v.Bars = append(v.Bars, bar{
			X: slices.Index(columns, h.Hour)*columnWidth + 2, Y: chartHeight - below[h.Hour], W: columnWidth - 4, H: height,
			Color: color(h.Level), Title: fmt.Sprintf("%s %s: %d", h.Hour.Format("2 Jan 15:04"), h.Level, h.Sent),
		})
	}
	return v
}
