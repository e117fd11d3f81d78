package sqltest

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze"
	"github.com/sidestream/sidestream/sidecar/engine/analyze/expression"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/driver"
	"github.com/sidestream/sidestream/sidecar/engine/function"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// dataColumns are the columns that are in a record's value: all but headers.
func dataColumns(cols []schema.Column) []schema.Column {
	out := make([]schema.Column, 0, len(cols))
	for _, c := range cols {
		if !c.Headers {
			out = append(out, c)
		}
	}
	return out
}

// record is a record as its source's columns, ready to be compared.
type record struct {
	columns map[string]column
	deleted bool
}

type column struct {
	value types.Value
	typ   types.Type
}

// next takes the first record of the source's topic that was not asserted yet.
func (m *machine) next(src *catalog.Source) (driver.Record, error) {
	at := m.read[src.Topic]
	r, ok, err := m.backend.record(src, at)
	if err != nil {
		return r, err
	}
	if !ok {
		return r, m.noRecord(src, at)
	}
	m.read[src.Topic]++
	m.cover.asserted(m, src)
	return r, nil
}

// noRecord explains why there may be no further record.
func (m *machine) noRecord(src *catalog.Source, asserted int) error {
	e := diagnostic.At(ast.Pos{}, "%s has no further record: topic %s holds %d, all of them asserted", src.Name, src.Topic, asserted)
	if asserted == 0 {
		e.Message = fmt.Sprintf("%s has no record: topic %s is empty", src.Name, src.Topic)
	}
	var hints []string
	if trouble := m.backend.problems(); len(trouble) > 0 {
		hints = append(hints, "what its queries couldn't use:")
		for _, line := range trouble[max(0, len(trouble)-3):] {
			hints = append(hints, "    "+line)
		}
	} else if asserted == 0 {
		hints = append(hints, why(m, src))
	}
	e.Hint = strings.Join(hints, "\n  ")
	return e
}

// why nothing has come: where the chain of queries behind a source ends.
func why(m *machine, src *catalog.Source) string {
	for _, p := range m.running {
		if p.Writes != src.Name {
			continue
		}
		for _, r := range p.Reads {
			from, ok := m.catalog.Source(r)
			if !ok {
				continue
			}
			if n, err := m.backend.count(from); err == nil && n == 0 {
				return fmt.Sprintf("it is written by %s, which reads %s, and that has no record: INSERT INTO %s … VALUES, or see what should fill it", p.Plan.ID, from.Name, from.Name)
			}
		}
		return fmt.Sprintf("%s has read its sources and written nothing: its WHERE or HAVING let nothing pass, its join found no partner, or EMIT FINAL waits for a later record to close the window", p.Plan.ID)
	}
	return "no query writes it: does the test run the file that does (--@run:)?"
}

func decode(src *catalog.Source, r driver.Record, schemas serde.SchemaRegistry) (*record, error) {
	out := &record{columns: map[string]column{
		schema.RowTime: {types.NewBigint(r.Time), types.TBigint},
	}, deleted: r.Value == nil}
	key := r.Key
	if src.Window != plan.NoWindow && key != nil {
		var err error
		if key, err = out.window(src, key); err != nil {
			return nil, err
		}
	}
	if err := out.decode(src.KeyFormat, src.Schema.Key, key, serde.Options{Subject: src.Topic + "-key", IsKey: true, Registry: schemas}); err != nil {
		return nil, fmt.Errorf("the key of the next record of %s can't be read: %w", src.Name, err)
	}
	if err := out.decode(src.ValueFormat, dataColumns(src.Schema.Value), r.Value, serde.Options{Subject: src.Topic + "-value", Registry: schemas}); err != nil {
		return nil, fmt.Errorf("the value of the next record of %s can't be read: %w", src.Name, err)
	}
	return out, nil
}

// window takes the window off a key: its start, behind the end of a session.
func (r *record) window(src *catalog.Source, key []byte) ([]byte, error) {
	size := 8
	if src.Window == plan.SessionWindow {
		size = 16
	}
	if len(key) < size {
		return nil, fmt.Errorf("the key of the next record of %s has no window", src.Name)
	}
	start := int64(binary.BigEndian.Uint64(key[len(key)-8:]))
	end := start + src.WindowSize
	if src.Window == plan.SessionWindow {
		end = int64(binary.BigEndian.Uint64(key[len(key)-16:]))
	}
	r.columns[schema.WindowStart] = column{types.NewBigint(start), types.TBigint}
	r.columns[schema.WindowEnd] = column{types.NewBigint(end), types.TBigint}
	return key[:len(key)-size], nil
}

func (r *record) decode(f plan.Format, cols []schema.Column, data []byte, o serde.Options) error {
	row := make([]types.Value, len(cols))
	if data != nil && len(cols) > 0 {
		dec, err := serde.NewDecoder(f, cols, o)
		if err != nil {
			return err
		}
		if _, err := dec.Decode(data, row); err != nil {
			return err
		}
	}
	for i, c := range cols {
		r.columns[c.Name] = column{row[i], c.Type}
	}
	return nil
}

func (m *machine) source(name ast.Ident) (*catalog.Source, error) {
	if src, ok := m.catalog.Source(name.Name); ok {
		return src, nil
	}
	return nil, diagnostic.At(name.Pos, "%s does not exist.", name.Name)
}

func (m *machine) assertValues(s *ast.AssertValues) error {
	src, err := m.source(s.Target)
	if err != nil {
		return err
	}
	raw, err := m.next(src)
	if err != nil {
		return err
	}
	got, err := decode(src, raw, m.backend.schemas())
	if err != nil {
		return err
	}
	if got.deleted {
		return fmt.Errorf("the next record of %s is a deletion (no value): %s", src.Name, got.text(src))
	}
	return m.compare(src, got, s.Columns, s.Values)
}

func (m *machine) assertTombstone(s *ast.AssertTombstone) error {
	src, err := m.source(s.Target)
	if err != nil {
		return err
	}
	raw, err := m.next(src)
	if err != nil {
		return err
	}
	got, err := decode(src, raw, m.backend.schemas())
	if err != nil {
		return err
	}
	if !got.deleted {
		return fmt.Errorf("the next record of %s is no deletion: %s", src.Name, got.text(src))
	}
	return m.compare(src, got, s.Columns, s.Values)
}

// compare checks the named columns and tells of all that differ.
func (m *machine) compare(src *catalog.Source, got *record, names []ast.Ident, values []ast.Expr) error {
	if len(names) == 0 {
		for _, c := range append(src.Schema.Key[:len(src.Schema.Key):len(src.Schema.Key)], dataColumns(src.Schema.Value)...) {
			names = append(names, ast.Ident{Name: c.Name})
		}
	}
	if len(names) != len(values) {
		return fmt.Errorf("%d columns are named and %d values given", len(names), len(values))
	}
	typed := expression.Analyzer{Functions: function.Builtin(), CustomType: m.catalog.Type}
	var wrong diagnostic.Errors
	for i, name := range names {
		have, ok := got.columns[name.Name]
		if !ok {
			wrong = append(wrong, diagnostic.At(name.Pos, "%s has no column %s. It has: %s", src.Name, name.Name, src.Schema.String()))
			continue
		}
		want, err := typed.Constant(values[i], have.typ)
		if err != nil {
			wrong = append(wrong, diagnostic.All(err)...)
			continue
		}
		for _, line := range differences(name.Name, want, have.value, have.typ) {
			wrong = append(wrong, diagnostic.At(values[i].Position(), "%s", line))
		}
	}
	if wrong != nil {
		wrong[len(wrong)-1].Hint = "the record: " + got.text(src)
		return wrong
	}
	return nil
}

func show(v types.Value, t types.Type) string {
	if v.IsNull() {
		return "NULL"
	}
	text := types.Text(v, t)
	if t.Kind == types.String {
		return "'" + text + "'"
	}
	return text
}

// text is the record for people, in the order of the columns.
func (r *record) text(src *catalog.Source) string {
	var parts []string
	for _, n := range r.names(src) {
		if c, ok := r.columns[n]; ok {
			parts = append(parts, n+"="+show(c.value, c.typ))
		}
	}
	return strings.Join(parts, ", ")
}

// names are the record's columns, in their order.
func (r *record) names(src *catalog.Source) []string {
	names := []string{}
	for _, c := range src.Schema.Key {
		names = append(names, c.Name)
	}
	if src.Window != plan.NoWindow {
		names = append(names, schema.WindowStart, schema.WindowEnd)
	}
	if !r.deleted {
		for _, c := range dataColumns(src.Schema.Value) {
			names = append(names, c.Name)
		}
	}
	return append(names, schema.RowTime)
}

// assertSource makes the asserted source in a catalogue of its own and compares.
func (m *machine) assertSource(s *ast.AssertSource) error {
	have, err := m.source(s.Name)
	if err != nil {
		return err
	}
	if have.Table != s.Table {
		return diagnostic.At(s.Name.Pos, "%s is a %s.", have.Name, have.Kind())
	}
	env := m.env()
	env.Catalog = catalog.New()
	for name, t := range m.catalog.Types() {
		env.Catalog.PutType(name, t)
	}
	with := s.With // formats that aren't asserted are those that it has
	for name, f := range map[string]string{"KEY_FORMAT": have.KeyFormat.Name, "VALUE_FORMAT": have.ValueFormat.Name} {
		if with.Get(name) == nil && with.Get("FORMAT") == nil {
			with = append(with[:len(with):len(with)], ast.Property{Name: name, Value: &ast.StringLit{Value: f}})
		}
	}
	made, err := analyze.CreateSource(env, &ast.CreateSource{Span: s.Span, Table: s.Table, Name: s.Name, Elements: s.Elements, With: with}, "")
	if err != nil {
		return err
	}
	want := made.Source
	if len(s.Elements) > 0 && want.Schema.String() != have.Schema.String() {
		return diagnostic.At(s.Name.Pos, "Expected schema does not match actual for source %s: expected %s, got %s", have.Name, want.Schema.String(), have.Schema.String())
	}
	for _, p := range []struct{ name, want, have string }{
		{"KAFKA_TOPIC", want.Topic, have.Topic},
		{"KEY_FORMAT", want.KeyFormat.Name, have.KeyFormat.Name},
		{"VALUE_FORMAT", want.ValueFormat.Name, have.ValueFormat.Name},
	} {
		if e := s.With.Get(p.name); e != nil && p.want != p.have {
			return diagnostic.At(e.Position(), "Expected %s of %s is %s, but it is %s", p.name, have.Name, p.want, p.have)
		}
	}
	return nil
}

// ColumnText is a column of a record, for people.
type ColumnText struct{ Name, Text string }

// Columns are the columns of a record of a source's topic: of its key, its window,
// its value (none of a deletion) and ROWTIME.
func Columns(src *catalog.Source, r driver.Record) ([]ColumnText, error) {
	rec, err := decode(src, r, nil)
	if err != nil {
		return nil, err
	}
	var out []ColumnText
	for _, name := range rec.names(src) {
		if c, ok := rec.columns[name]; ok {
			out = append(out, ColumnText{name, show(c.value, c.typ)})
		}
	}
	return out, nil
}
