package runtime

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/exec"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// comparison is what of a query's output must not depend on how it is run.
type comparison int

const (
	// ordered: each key's records, with their times, in their order.
	ordered comparison = iota
	// unordered: each key's records. Two inputs meet in the task, and which one
	// brings its record first is free.
	unordered
	// final: each key's last record. Records of one key come by several
	// partitions, or several inputs, so what is in between is free.
	final
)

// metaSources are what the queries read. Every customer buys in one region, and
// the region is the key of orders, returns and payments: so the records of a
// customer come by one partition, however many there are, and keep their order
// when they are repartitioned by customer. Products are bought in all regions.
var metaSources = []string{
	`CREATE STREAM orders (region STRING KEY, id INT, customer STRING, product STRING, amount INT, price DECIMAL(12,2)) WITH (KAFKA_TOPIC='~orders', VALUE_FORMAT='JSON', PARTITIONS=1);`,
	`CREATE STREAM returns (region STRING KEY, id INT, customer STRING, amount INT) WITH (KAFKA_TOPIC='~returns', VALUE_FORMAT='JSON', PARTITIONS=1);`,
	`CREATE STREAM payments (region STRING KEY, id INT, customer STRING, paid INT) WITH (KAFKA_TOPIC='~payments', VALUE_FORMAT='JSON', PARTITIONS=1);`,
	`CREATE TABLE customers (customer STRING PRIMARY KEY, level STRING, credit INT) WITH (KAFKA_TOPIC='~customers', VALUE_FORMAT='JSON', PARTITIONS=1);`,
	`CREATE TABLE limits (customer STRING PRIMARY KEY, most INT) WITH (KAFKA_TOPIC='~limits', VALUE_FORMAT='JSON', PARTITIONS=1);`,
	`CREATE TABLE levels (level STRING PRIMARY KEY, discount INT) WITH (KAFKA_TOPIC='~levels', VALUE_FORMAT='JSON', PARTITIONS=1);`,
	`CREATE TABLE regions (region STRING PRIMARY KEY, boss STRING) WITH (KAFKA_TOPIC='~regions', VALUE_FORMAT='JSON', PARTITIONS=1);`,
}

// metaConfig has rows whose window is over come out with the next record. By
// default that is done once a second: what comes out together would be chance.
var metaConfig = map[string]string{
	"ksql.streams.__emit.interval.ms.kstreams.outer.join.spurious.results.fix__": "0",
	"ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__":            "0",
}

// metaQuery is a query, or a few that build on each other.
type metaQuery struct {
	name string
	sql  []string
	// sinks with how they are compared; the topic is the name.
	sinks map[string]comparison
}

func metaOne(name string, how comparison, sql string) metaQuery {
	return metaQuery{name, []string{sql}, map[string]comparison{name: how}}
}

var metaQueries = []metaQuery{
	metaOne("filter", ordered, `CREATE STREAM filter AS SELECT region, id, 100 / amount AS share, CAST(product AS INT) AS n FROM orders WHERE 100 / amount < 30;`),
	{"rekey", []string{
		`CREATE STREAM rekey AS SELECT customer, id, region, amount FROM orders PARTITION BY customer;`,
		`CREATE TABLE rekeycount AS SELECT customer, COUNT(*) AS n, LATEST_BY_OFFSET(id) AS id FROM rekey GROUP BY customer;`,
	}, map[string]comparison{"rekey": ordered, "rekeycount": ordered}},
	metaOne("products", final, `CREATE TABLE products AS SELECT product, COUNT(*) AS n, SUM(amount) AS s, SUM(price) AS p, MIN(amount) AS lo, MAX(amount) AS hi, COLLECT_LIST(id) AS ids, COLLECT_SET(amount) AS amounts FROM orders GROUP BY product;`),
	metaOne("buyers", ordered, `CREATE TABLE buyers AS SELECT customer, COUNT(*) AS n, SUM(amount) AS s, LATEST_BY_OFFSET(id) AS new, EARLIEST_BY_OFFSET(id) AS old, COLLECT_LIST(id) AS ids FROM orders GROUP BY customer HAVING COUNT(*) > 1;`),
	metaOne("places", ordered, `CREATE TABLE places AS SELECT region, COUNT(*) AS n, LATEST_BY_OFFSET(customer) AS c, MAX(price) AS p FROM orders GROUP BY region;`),
	metaOne("tumbles", ordered, `CREATE TABLE tumbles AS SELECT customer, COUNT(*) AS n, COLLECT_LIST(id) AS ids FROM orders WINDOW TUMBLING (SIZE 3 SECONDS, GRACE PERIOD 20 SECONDS) GROUP BY customer;`),
	metaOne("hops", ordered, `CREATE TABLE hops AS SELECT region, SUM(amount) AS s FROM orders WINDOW HOPPING (SIZE 4 SECONDS, ADVANCE BY 1 SECOND, GRACE PERIOD 20 SECONDS) GROUP BY region;`),
	metaOne("sessions", ordered, `CREATE TABLE sessions AS SELECT customer, COUNT(*) AS n, COLLECT_LIST(id) AS ids FROM orders WINDOW SESSION (1 SECOND, GRACE PERIOD 20 SECONDS) GROUP BY customer;`),
	metaOne("finals", ordered, `CREATE TABLE finals AS SELECT customer, COUNT(*) AS n FROM orders WINDOW TUMBLING (SIZE 3 SECONDS, GRACE PERIOD 20 SECONDS) GROUP BY customer EMIT FINAL;`),
	metaOne("pairs", unordered, `CREATE STREAM pairs AS SELECT o.customer AS customer, o.id AS o, p.id AS p FROM orders o JOIN payments p WITHIN 2 SECONDS GRACE PERIOD 20 SECONDS ON o.customer = p.customer;`),
	// The windows of outer joins are longer than a phase: a row whose window is over
	// when it comes is given out at once, match or not, so what came first would count.
	metaOne("unpaid", unordered, `CREATE STREAM unpaid AS SELECT o.customer AS customer, o.id AS o, p.id AS p FROM orders o LEFT JOIN payments p WITHIN 12 SECONDS GRACE PERIOD 20 SECONDS ON o.customer = p.customer;`),
	// A topic that two sub-topologies read.
	metaOne("companions", unordered, `CREATE STREAM companions AS SELECT a.customer AS customer, a.id AS a, b.id AS b FROM orders a JOIN orders b WITHIN 1 SECOND GRACE PERIOD 20 SECONDS ON a.customer = b.customer;`),
	metaOne("meetings", unordered, `CREATE STREAM meetings AS SELECT ROWKEY AS region, o.id AS o, r.id AS r FROM orders o FULL OUTER JOIN payments r WITHIN (12 SECONDS, 13 SECONDS) GRACE PERIOD 20 SECONDS ON o.region = r.region;`),
	metaOne("enriched", ordered, `CREATE STREAM enriched AS SELECT o.customer AS customer, o.id AS id, c.level AS level FROM orders o LEFT JOIN customers c ON o.customer = c.customer;`),
	metaOne("bossed", ordered, `CREATE STREAM bossed AS SELECT o.region AS region, o.id AS id, r.boss AS boss FROM orders o JOIN regions r ON o.region = r.region;`),
	metaOne("twins", final, `CREATE TABLE twins AS SELECT ROWKEY AS customer, c.level AS level, l.most AS most FROM customers c FULL OUTER JOIN limits l ON c.customer = l.customer;`),
	metaOne("discounts", final, `CREATE TABLE discounts AS SELECT c.customer AS customer, c.credit AS credit, l.discount AS discount FROM customers c LEFT JOIN levels l ON c.level = l.level;`),
	{"all", []string{
		`CREATE STREAM everything WITH (KAFKA_TOPIC='~all') AS SELECT region, id, customer, amount FROM orders;`,
		`INSERT INTO everything SELECT region, id, customer, -amount AS amount FROM returns;`,
		`CREATE TABLE balance AS SELECT region, COUNT(*) AS n, SUM(amount) AS s FROM everything GROUP BY region;`,
	}, map[string]comparison{"all": ordered, "balance": ordered}},
	metaOne("ranks", final, `CREATE TABLE ranks AS SELECT level, COUNT(*) AS n, SUM(credit) AS s, COLLECT_LIST(credit) AS credits FROM customers GROUP BY level;`),
	metaOne("rich", ordered, `CREATE TABLE rich AS SELECT customer, credit * 2 AS credit FROM customers WHERE 100 / credit < 3;`),
}

// metaFind is a query by its name.
func metaFind(name string) metaQuery {
	for _, q := range metaQueries {
		if q.name == name {
			return q
		}
	}
	panic("no query " + name)
}

// metaPlans makes the plans of queries, whose topics begin with a prefix.
func metaPlans(prefix string, names []string) (plans []*plan.Query, topics []string, sinks map[string]comparison, err error) {
	sql := append([]string(nil), metaSources...)
	sinks = map[string]comparison{}
	for _, name := range names {
		q := metaFind(name)
		sql = append(sql, q.sql...)
		for sink, how := range q.sinks {
			sinks[prefix+sink] = how
		}
	}
	for i := range sql {
		sql[i] = strings.ReplaceAll(metaTopic(sql[i]), "~", prefix)
	}
	plans, topics, err = plansOf(sql, nil)
	return plans, topics, sinks, err
}

// metaTopic has CREATE … AS SELECT name its topic.
func metaTopic(sql string) string {
	if !strings.HasPrefix(sql, "CREATE") || !strings.Contains(sql, " AS SELECT") || strings.Contains(sql, "KAFKA_TOPIC") {
		return sql
	}
	name := strings.Fields(sql)[2]
	return strings.Replace(sql, name+" AS", fmt.Sprintf("%s WITH (KAFKA_TOPIC='~%s') AS", name, name), 1)
}

// plansOf makes the plans of statements. topics are all that they read and write.
func plansOf(sql []string, schemas serde.SchemaRegistry) (plans []*plan.Query, topics []string, err error) {
	env := &analyze.Env{Catalog: catalog.New(), Functions: function.Configured(nil), Schemas: schemas}
	for i, text := range sql {
		statements, err := parser.Parse(text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", text, err)
		}
		id := fmt.Sprintf("Q%d", i)
		var p *analyze.Persistent
		switch st := statements[0].(type) {
		case *ast.CreateSource:
			var c *analyze.Created
			if c, err = analyze.CreateSource(env, st, id); err == nil {
				env.Catalog.Put(c.Source)
				topics = append(topics, c.Source.Topic)
			}
		case *ast.CreateAs:
			if p, err = analyze.CreateAs(env, st, id); err == nil {
				env.Catalog.Put(p.Source)
				topics = append(topics, p.Source.Topic)
			}
		case *ast.InsertInto:
			p, err = analyze.InsertInto(env, st, id)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", text, err)
		}
		if p != nil {
			plans = append(plans, p.Plan)
		}
	}
	return plans, topics, nil
}

// metaExpect runs the queries in memory, with one partition, record after record,
// and tells what the sinks hold after each step, and the tables at the end.
func metaExpect(names []string, steps []metaStep) (out []map[string][]rec, tables map[string][]string, err error) {
	plans, topics, sinks, err := metaPlans("", names)
	if err != nil {
		return nil, nil, err
	}
	d := driver.New(driver.Options{Functions: function.Configured(nil), Config: metaConfig, AppID: func(id string) string { return "app-" + id }})
	for _, t := range topics {
		d.CreateTopic(t, 1)
	}
	for _, p := range plans {
		if _, err := d.AddQuery(p); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range steps {
		for _, r := range s.records {
			if err := d.Pipe(r.topic, driver.Record{Key: raw(r.key), Value: raw(r.value), Time: r.time, Partition: -1}); err != nil {
				return nil, nil, err
			}
		}
		held := map[string][]rec{}
		for sink := range sinks {
			held[sink] = expected(d, sink)
		}
		out = append(out, held)
	}
	tables = map[string][]string{}
	for _, p := range plans {
		if p.Materialized == nil {
			continue
		}
		list := []string{}
		if err := d.Query(p.ID).Lookup(exec.Everything(), func(r *exec.Row) bool { list = append(list, metaRow(r)); return true }); err != nil {
			return nil, nil, err
		}
		slices.Sort(list)
		tables[p.ID] = list
	}
	return out, tables, nil
}

// metaRow is a row that was looked up, as text; lists are sorted.
func metaRow(r *exec.Row) string {
	var b strings.Builder
	for _, v := range r.Key {
		b.WriteString(types.Text(v, types.Type{}) + " ")
	}
	fmt.Fprintf(&b, "%d-%d:", r.Window.Start, r.Window.End)
	for _, v := range r.Value {
		text := types.Text(v, types.Type{})
		if inner, ok := strings.CutPrefix(text, "["); ok {
			list := strings.Split(strings.TrimSuffix(inner, "]"), ", ")
			slices.Sort(list)
			text = fmt.Sprint(list)
		}
		b.WriteString(" " + text)
	}
	return b.String()
}
