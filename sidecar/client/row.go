package client

import (
	"fmt"
	"iter"
	"reflect"
	"strings"
)

// Row is one row. Values holds nil, bool, string, json.Number, []any or
// map[string]any, one for each column.
type Row struct {
	Columns []Column
	Values  []any
	// Deleted: the table has lost the row of this key; other columns are nil.
	Deleted bool
}

// Get returns the value of the named column, ignoring case, and whether there
// is such a column.
func (r Row) Get(column string) (any, bool) {
	for i := range r.Columns {
		if r.Columns[i].Name == column {
			return r.Values[i], true
		}
	}
	for i := range r.Columns {
		if strings.EqualFold(r.Columns[i].Name, column) {
			return r.Values[i], true
		}
	}
	return nil, false
}

// Scan copies the row's values, in order, to what dest points at: *string,
// *bool, *int, *int32, *int64, *float64, *json.Number, *time.Time, *[]string, *any,
// pointers to such pointers for what may be NULL, or structs, maps and slices for
// what is nested. NULL gives the zero value. A value that doesn't fit is an error that names
// the column.
func (r Row) Scan(dest ...any) error {
	if len(dest) != len(r.Values) {
		return fmt.Errorf("scan: %d targets for %d columns", len(dest), len(r.Values))
	}
	for i, v := range r.Values {
		if err := assign(dest[i], v); err != nil {
			return fmt.Errorf("column %s (%s): %w", r.Columns[i].Name, r.Columns[i].Type, err)
		}
	}
	return nil
}

// Decode copies the row into the struct behind dest. A column goes to the field
// with the tag `ksql:"COLUMN"`, or of the column's name without regard to case and
// underscores; columns without a field are passed by. Fields have the types that
// Scan takes, time.Time for TIMESTAMP and DATE, pointers for what may be NULL, and
// structs, maps and slices for nested values, which encoding/json fills.
func (r Row) Decode(dest any) error {
	v := reflect.ValueOf(dest)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("decode: %T isn't a pointer to a struct", dest)
	}
	v = v.Elem()
	for i, c := range r.Columns {
		field, ok := fieldOf(v, c.Name)
		if !ok {
			continue
		}
		if err := assign(field.Addr().Interface(), r.Values[i]); err != nil {
			return fmt.Errorf("column %s (%s): %w", c.Name, c.Type, err)
		}
	}
	return nil
}

// fieldOf finds the field of a column.
func fieldOf(v reflect.Value, column string) (reflect.Value, bool) {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }
	t := v.Type()
	byName := -1
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("ksql")
		switch {
		case !f.IsExported():
		case tagged && strings.EqualFold(tag, column):
			return v.Field(i), true
		case !tagged && plain(f.Name) == plain(column):
			byName = i
		}
	}
	if byName < 0 {
		return reflect.Value{}, false
	}
	return v.Field(byName), true
}

// Typed makes a struct of each row (see Row.Decode). An error ends the sequence.
func Typed[T any](rows iter.Seq2[Row, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range rows {
			var out T
			if err == nil {
				err = row.Decode(&out)
			}
			if !yield(out, err) || err != nil {
				return
			}
		}
	}
}
