package analyze

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/analyze/expression"
	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// InsertValues analyses INSERT INTO … VALUES: the values become those of the
// columns, exactly or not at all. Errors carry the statement with its values
// masked, as ksqlDB shows it.
func InsertValues(env *Env, s *ast.InsertValues) (*Insert, error) {
	out, err := insertValues(env, s)
	if err != nil {
		for _, e := range diagnostic.All(err) {
			e.Statement = MaskedInsert(s)
		}
		return nil, placed(err, s.Pos)
	}
	return out, nil
}

// MaskedInsert is the statement without its values:
// INSERT INTO `S` (`A`) VALUES ('[value]');
func MaskedInsert(s *ast.InsertValues) string {
	columns := ""
	if len(s.Columns) > 0 {
		names := make([]string, len(s.Columns))
		for i, c := range s.Columns {
			names[i] = schema.Quote(c.Name)
		}
		columns = " (" + strings.Join(names, ", ") + ")"
	}
	values := strings.TrimSuffix(strings.Repeat("'[value]', ", len(s.Values)), ", ")
	return "INSERT INTO " + schema.Quote(s.Target.Name) + columns + " VALUES (" + values + ");"
}

func insertValues(env *Env, s *ast.InsertValues) (*Insert, error) {
	src, ok := env.Catalog.Source(s.Target.Name)
	general := func(pos ast.Pos, text string, args ...any) error {
		e := diagnostic.At(pos, text, args...)
		e.Kind = diagnostic.General
		return e
	}
	switch {
	case !ok:
		return nil, general(s.Target.Pos, "Cannot insert values into an unknown stream/table: %s%s", schema.Quote(s.Target.Name), NameHint(env, s.Target.Name))
	case src.ReadOnly:
		return nil, general(s.Target.Pos, "Cannot insert values into read-only %s: %s", strings.ToLower(src.Kind()), src.Name)
	case src.Window != 0:
		return nil, general(s.Target.Pos, "Cannot insert values into windowed stream/table!")
	}
	columns, err := insertColumns(src, s)
	if err != nil {
		return nil, err
	}
	out := &Insert{Source: src, Time: -1, Key: make([]types.Value, len(src.Schema.Key))}
	a := &expression.Analyzer{Functions: env.Functions, CustomType: env.Catalog.Type}
	given := map[string]types.Value{}
	for i, c := range columns {
		v, err := a.Constant(s.Values[i], c.Type)
		if err != nil {
			return nil, insertMismatch(src, c.Name, s.Values[i], err)
		}
		given[c.Name] = v
	}
	if v, ok := given[schema.RowTime]; ok && !v.IsNull() {
		if out.Time = v.Int(); out.Time < 0 {
			return nil, insertFailed(src, s.Pos, "Invalid timestamp: %d. Timestamp should always be non-negative or null.", out.Time)
		}
	}
	for i, c := range src.Schema.Key {
		out.Key[i] = given[c.Name]
	}
	for _, c := range src.Schema.Value {
		if !c.Headers {
			out.Value = append(out.Value, given[c.Name])
		}
	}
	return out, checkInsertKey(src, s, given, out)
}

// insertColumns are the columns that the values are for.
func insertColumns(src *catalog.Source, s *ast.InsertValues) ([]schema.Column, error) {
	var plain []schema.Column
	var headers []string
	plain = append(plain, src.Schema.Key...)
	for _, c := range src.Schema.Value {
		if !c.Headers {
			plain = append(plain, c)
		}
	}
	if len(s.Columns) == 0 {
		if len(plain) != len(s.Values) {
			names := make([]string, len(plain))
			for i, c := range plain {
				names[i] = schema.Quote(c.Name)
			}
			values := make([]string, len(s.Values))
			for i, v := range s.Values {
				values[i] = exprText(v)
			}
			return nil, insertFailed(src, s.Pos, "Expected a value for each column. Expected Columns: [%s]. Got [%s]", strings.Join(names, ", "), strings.Join(values, ", "))
		}
		return plain, nil
	}
	if len(s.Columns) != len(s.Values) {
		return nil, prepare(s.Columns[0].Pos, "Expected number columns and values to match: %d, %d", len(s.Columns), len(s.Values))
	}
	out := make([]schema.Column, 0, len(s.Columns))
	seen := map[string]bool{}
	for _, id := range s.Columns {
		if seen[id.Name] {
			return nil, insertFailed(src, id.Pos, "Column name %s is given more than once.", schema.Quote(id.Name))
		}
		seen[id.Name] = true
		found := false
		for _, c := range plain {
			if c.Name == id.Name {
				out, found = append(out, c), true
			}
		}
		switch {
		case found:
		case id.Name == schema.RowTime:
			out = append(out, schema.Column{Name: schema.RowTime, Type: types.TBigint})
		case id.Name == schema.RowPartition || id.Name == schema.RowOffset:
			return nil, insertFailed(src, id.Pos, "Inserting into column %s is not allowed.", schema.Quote(id.Name))
		case src.Schema.FindValue(id.Name) >= 0:
			headers = append(headers, id.Name)
		default:
			return nil, insertFailed(src, id.Pos, "Column name %s does not exist.", schema.Quote(id.Name))
		}
	}
	if headers != nil {
		e := diagnostic.At(s.Columns[0].Pos, "Cannot insert into HEADER columns: %s", strings.Join(headers, ", "))
		e.Kind = diagnostic.General
		return nil, e
	}
	return out, nil
}

// checkInsertKey sees to it that a table's row has a key; a stream's record
// whose key columns are all NULL has none.
func checkInsertKey(src *catalog.Source, s *ast.InsertValues, given map[string]types.Value, out *Insert) error {
	var missing []string
	none := true
	for i, c := range src.Schema.Key {
		if _, ok := given[c.Name]; !ok {
			missing = append(missing, c.Name)
		}
		none = none && out.Key[i].IsNull()
	}
	if none {
		out.Key = nil
	}
	if !src.Table {
		return nil
	}
	if missing != nil {
		return insertFailed(src, s.Pos, "Value for primary key column(s) %s is required for tables", strings.Join(missing, ", "))
	}
	if none {
		e := diagnostic.At(s.Pos, "Failed to insert values into '%s'.\nCaused by: Compacted topic cannot accept message without key in topic partition\n\t%s-0", src.Name, src.Topic)
		e.Kind = diagnostic.General
		return e
	}
	return nil
}

func insertFailed(src *catalog.Source, pos ast.Pos, text string, args ...any) error {
	return diagnostic.At(pos, "Failed to insert values into '%s'. %s", src.Name, fmt.Sprintf(text, args...))
}

// insertMismatch words why a value isn't one of the column's.
func insertMismatch(src *catalog.Source, column string, value ast.Expr, err error) error {
	var mismatch *expression.MismatchError
	if errors.As(err, &mismatch) {
		return insertFailed(src, value.Position(), "%s", mismatch.For(column))
	}
	var d *diagnostic.Error
	if errors.As(err, &d) {
		return insertFailed(src, d.Pos, "%s", d.Message)
	}
	return insertFailed(src, value.Position(), "%v", err)
}
