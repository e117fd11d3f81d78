package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "github.com/mattn/go-sqlite3" // the driver

	"github.com/sidestream/sidestream/services/internal/order"
)

// store is the local view: all rows with an index for each way to sort them, the
// events of their stories, and the offset behind what it has of each partition.
// What a batch changes and its offsets are one SQLite transaction, so that a crash
// at any moment leaves a view that the topics continue.
//
// One goroutine writes; any number read, each a snapshot.
type store struct {
	write, read *sql.DB
	dir         string // to remove at close; "" if the view stays
}

const storeVersion = 1

const schema = `
CREATE TABLE IF NOT EXISTS rows (
  id TEXT PRIMARY KEY, customerId INTEGER, customer TEXT COLLATE NOCASE, level TEXT, state TEXT,
  product TEXT COLLATE NOCASE, quantity INTEGER, price INTEGER, total INTEGER, paid INTEGER,
  reasons TEXT, version INTEGER, created INTEGER, updated INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  topic TEXT, partition INTEGER, "offset" INTEGER, "order" TEXT, time INTEGER, value TEXT,
  PRIMARY KEY (topic, partition, "offset")
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_order ON events("order", time);
CREATE TABLE IF NOT EXISTS offsets (topic TEXT, partition INTEGER, next INTEGER, PRIMARY KEY (topic, partition)) WITHOUT ROWID;
`

// sortable are the columns that rows can be sorted by; each has an index.
var sortable = []string{"id", "customerId", "customer", "level", "state", "product", "quantity", "price", "total", "paid", "version", "created", "updated"}

// openStore opens the view in dir, or one that lives as long as the process if dir
// is empty. A view of another version is made anew from the topics.
func openStore(dir string) (*store, error) {
	s := &store{}
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "sidestream-grid-"); err != nil {
			return nil, err
		}
		s.dir = dir
	} else if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("STATE_DIR: %w", err)
	}
	file := filepath.Join(dir, fmt.Sprintf("grid-%d.db", storeVersion))
	open := func(mode string) (*sql.DB, error) {
		return sql.Open("sqlite3", "file:"+file+"?_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=5000&_cache_size=-32000"+mode)
	}
	var err error
	if s.write, err = open("&_txlock=immediate"); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	statements := schema
	for _, c := range sortable {
		if c != "id" {
			statements += fmt.Sprintf("CREATE INDEX IF NOT EXISTS rows_by_%s ON rows(%s, id);\n", c, c)
		}
	}
	if _, err := s.write.Exec(statements); err != nil {
		return nil, fmt.Errorf("the view in %s can't be opened (%w): is another grid using it? Give each its own STATE_DIR", file, err)
	}
	if s.read, err = open(""); err != nil {
		return nil, err
	}
	s.read.SetMaxOpenConns(8)
	return s, nil
}

func (s *store) close() error {
	err := errors.Join(s.read.Close(), s.write.Close())
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

// batch is what some records change.
type batch struct {
	rows   []row // in their topic's order
	events []event
	next   map[string]map[int32]int64 // by topic and partition
}

// apply writes a batch, and returns its rows as they are now (with the time of
// their first record).
func (s *store) apply(b *batch) ([]row, error) {
	tx, err := s.write.Begin()
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing after a commit
	put, err := tx.Prepare(`INSERT INTO rows VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT(id) DO UPDATE SET customerId=excluded.customerId, customer=excluded.customer, level=excluded.level, state=excluded.state,
		product=excluded.product, quantity=excluded.quantity, price=excluded.price, total=excluded.total, paid=excluded.paid,
		reasons=excluded.reasons, version=excluded.version, created=min(created, excluded.created), updated=excluded.updated
		RETURNING created`)
	if err != nil {
		return nil, err
	}
	for i := range b.rows {
		r := &b.rows[i]
		if r.gone {
			if _, err := tx.Exec(`DELETE FROM rows WHERE id = ?`, r.ID); err != nil {
				return nil, err
			}
			continue
		}
		reasons, err := json.Marshal(r.Reasons)
		if err != nil {
			return nil, err
		}
		err = put.QueryRow(r.ID, r.CustomerID, r.Customer, r.Level, r.State, r.Product, r.Quantity, int64(r.Price), int64(r.Total), hundredths(r.Paid),
			string(reasons), r.Version, r.Created, r.Updated).Scan(&r.Created)
		if err != nil {
			return nil, err
		}
	}
	if err := putEvents(tx, b.events); err != nil {
		return nil, err
	}
	for topic, partitions := range b.next {
		for p, next := range partitions {
			if _, err := tx.Exec(`INSERT OR REPLACE INTO offsets VALUES (?,?,?)`, topic, p, next); err != nil {
				return nil, err
			}
		}
	}
	return b.rows, tx.Commit()
}

func putEvents(tx *sql.Tx, events []event) error {
	put, err := tx.Prepare(`INSERT OR REPLACE INTO events VALUES (?,?,?,?,?,?)`)
	if err != nil {
		return err
	}
	for _, e := range events {
		if _, err := put.Exec(e.Topic, e.Partition, e.Offset, e.Order, e.Time, string(e.Value)); err != nil {
			return err
		}
	}
	return nil
}

// offsets are where each partition of a topic goes on.
func (s *store) offsets(topic string) (map[int32]int64, error) {
	rs, err := s.write.Query(`SELECT partition, next FROM offsets WHERE topic = ?`, topic)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	out := map[int32]int64{}
	for rs.Next() {
		var p int32
		var next int64
		if err := rs.Scan(&p, &next); err != nil {
			return nil, err
		}
		out[p] = next
	}
	return out, rs.Err()
}

// forget empties the view: its topics are not those that it was made of.
func (s *store) forget() error {
	_, err := s.write.Exec(`DELETE FROM rows; DELETE FROM events; DELETE FROM offsets;`)
	return err
}

// query is a choice of rows.
type query struct {
	search string              // anywhere in id, customer or product
	in     map[string][]string // by column (state, level, product): one of these
	sort   string              // one of sortable
	down   bool
	offset int
	limit  int
}

func (q *query) where() (string, []any) {
	var conditions []string
	var args []any
	if q.search != "" {
		like := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(q.search) + "%"
		conditions = append(conditions, `(id LIKE ? ESCAPE '\' OR customer LIKE ? ESCAPE '\' OR product LIKE ? ESCAPE '\')`)
		args = append(args, like, like, like)
	}
	for _, column := range []string{"state", "level", "product"} {
		if values := q.in[column]; len(values) > 0 {
			conditions = append(conditions, column+" IN (?"+strings.Repeat(",?", len(values)-1)+")")
			for _, v := range values {
				args = append(args, v)
			}
		}
	}
	if len(conditions) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(conditions, " AND "), args
}

const columns = `id, customerId, customer, level, state, product, quantity, price, total, paid, reasons, version, created, updated`

// rows are those of a query, and how many there are in all.
func (s *store) rows(ctx context.Context, q query) ([]row, int, error) {
	where, args := q.where()
	var total int
	if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM rows`+where, args...).Scan(&total); err != nil {
		return nil, 0, err
	}
	direction := "ASC"
	if q.down {
		direction = "DESC"
	}
	// The page's ids come from the index alone; only their rows are looked up, not
	// those before them.
	by := fmt.Sprintf(`ORDER BY %s %s, id %s`, q.sort, direction, direction)
	rs, err := s.read.QueryContext(ctx, fmt.Sprintf(`WITH page AS (SELECT id FROM rows%s %s LIMIT ? OFFSET ?)
		SELECT %s FROM page CROSS JOIN rows USING (id) %s`, where, by, columns, by), append(args, q.limit, q.offset)...)
	if err != nil {
		return nil, 0, err
	}
	defer rs.Close()
	out := []row{}
	for rs.Next() {
		r, err := scan(rs.Scan)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, r)
	}
	return out, total, rs.Err()
}

// row is one; false if there is none.
func (s *store) row(ctx context.Context, id string) (row, bool, error) {
	r, err := scan(s.read.QueryRowContext(ctx, `SELECT `+columns+` FROM rows WHERE id = ?`, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	return r, err == nil, err
}

func scan(from func(...any) error) (row, error) {
	var r row
	var price, total int64
	var paid sql.NullInt64
	var reasons string
	err := from(&r.ID, &r.CustomerID, &r.Customer, &r.Level, &r.State, &r.Product, &r.Quantity, &price, &total, &paid, &reasons, &r.Version, &r.Created, &r.Updated)
	if err != nil {
		return r, err
	}
	r.Price, r.Total = order.Money(price), order.Money(total)
	if paid.Valid {
		m := order.Money(paid.Int64)
		r.Paid = &m
	}
	return r, json.Unmarshal([]byte(reasons), &r.Reasons)
}

// counts are how many rows there are of each value of a column, the most first.
func (s *store) counts(ctx context.Context, column string, most int) ([]count, error) {
	rs, err := s.read.QueryContext(ctx, fmt.Sprintf(`SELECT coalesce(%s, ''), count(*) AS n FROM rows GROUP BY 1 ORDER BY n DESC, 1 LIMIT ?`, column), most)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	out := []count{}
	for rs.Next() {
		var c count
		if err := rs.Scan(&c.Value, &c.Rows); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rs.Err()
}

type count struct {
	Value string `json:"value"`
	Rows  int    `json:"rows"`
}

// story is all that was told of an order, in the order of the records' times. A
// record that SQL makes has the time of the one that it is made from; those come in
// the order in which an order usually meets their topics.
func (s *store) story(ctx context.Context, id string) ([]event, error) {
	rs, err := s.read.QueryContext(ctx, `SELECT topic, partition, "offset", time, value FROM events WHERE "order" = ? ORDER BY time, topic, partition, "offset" LIMIT 1000`, id)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	out := []event{}
	for rs.Next() {
		e := event{Order: id}
		var value string
		if err := rs.Scan(&e.Topic, &e.Partition, &e.Offset, &e.Time, &value); err != nil {
			return nil, err
		}
		e.Value = json.RawMessage(value)
		out = append(out, e)
	}
	usual := strings.Split(storyTopics, ",")
	slices.SortStableFunc(out, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(slices.Index(usual, a.Topic), slices.Index(usual, b.Topic)))
	})
	return out, rs.Err()
}

// hundredths is SQL's NULL for nothing.
func hundredths(m *order.Money) any {
	if m == nil {
		return nil
	}
	return int64(*m)
}
