package analyze

import (
	"fmt"
	"sort"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
)

// One function a mistake, in ksqlDB's words. The position is part of the message
// where ksqlDB says it, and of the Error always.

func located(pos ast.Pos, format string, args ...any) *diagnostic.Error {
	e := diagnostic.At(pos, format, args...)
	if pos.Known() {
		e.Message = fmt.Sprintf("Line: %d, Col: %d: %s", pos.Line, pos.Col, e.Message)
	}
	return e
}

func noSuchSource(pos ast.Pos, name string) *diagnostic.Error {
	return diagnostic.At(pos, "Exception while preparing statement: %s does not exist.", name)
}

func noSuchAlias(pos ast.Pos, name string) *diagnostic.Error {
	return diagnostic.At(pos, "Failed to prepare statement: '%s' is not a valid stream/table name or alias.", name)
}

func ambiguousColumn(ref *ast.ColumnRef, sources []*source) *diagnostic.Error {
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = plainName(s.alias) + "." + plainName(ref.Name)
	}
	sort.Strings(names)
	e := located(ref.Pos, "Column '%s' is ambiguous. Could be %s.", ref.Name, andList(names, "or"))
	e.Message = "Exception while preparing statement: " + e.Message
	return e
}

func unresolved(clause string, ref *ast.ColumnRef, hint string) *diagnostic.Error {
	name := ref.Name
	if ref.Source != "" {
		name = ref.Source + "." + name
	}
	return located(ref.Pos, "%s column '%s' cannot be resolved.%s", clause, name, hint)
}

func boundsMisused(ref *ast.ColumnRef) *diagnostic.Error {
	return diagnostic.At(ref.Pos, "Window bounds column %s can only be used in the SELECT clause of windowed aggregations and can not be passed to aggregate functions.\n"+
		"See https://github.com/confluentinc/ksql/issues/4397", ref.Name)
}

func reservedAlias(pos ast.Pos, name string) *diagnostic.Error {
	return diagnostic.At(pos, "`%s` is a reserved column name. You cannot use it as an alias for a column.", name)
}

func reservedColumns(pos ast.Pos, names []string) *diagnostic.Error {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = "`" + n + "`"
	}
	return diagnostic.At(pos, "Reserved column name in select: %s. Please remove or alias the column.", strings.Join(quoted, ", "))
}

// keyMissing says which key columns the SELECT list lacks. kind is "key column",
// "grouping expression" and so on; any means that one of the list is enough;
// note, on keys that no source has, comes with the page that explains them.
func keyMissing(pos ast.Pos, sink, kind string, missing []string, any bool, note string) *diagnostic.Error {
	link := ""
	if note != "" {
		link = "See https://cnfl.io/2LV7ouS."
	}
	word, eg := "and", strings.Join(missing, ", ")
	if any {
		word, eg = "or", missing[0]
	}
	plural := ""
	if len(missing) > 1 {
		plural = "s"
	}
	return diagnostic.At(pos, "Key missing from projection (ie, SELECT). %s\n"+
		"The query used to build `%s` must include the %s%s %s in its projection (eg, SELECT %s...).%s",
		link, sink, kind, plural, andList(missing, word), eg, note)
}

func notGrouped(pos ast.Pos, texts []string) *diagnostic.Error {
	return diagnostic.At(pos, "Non-aggregate SELECT expression(s) not part of GROUP BY: %s\n"+
		"Either add the column(s) to the GROUP BY or remove them from the SELECT.", strings.Join(texts, ", "))
}

func windowedRepartition(pos ast.Pos) *diagnostic.Error {
	return diagnostic.At(pos, "Implicit repartitioning of windowed sources is not supported. See https://github.com/confluentinc/ksql/issues/4385.")
}

func mapInKey(pos ast.Pos, name, typ string) *diagnostic.Error {
	return diagnostic.At(pos, "Map keys, including types that contain maps, are not supported as they may lead to unexpected behavior due to inconsistent serialization. "+
		"Key column name: `%s`. Column type: %s. See https://github.com/confluentinc/ksql/issues/6621 for more.", name, typ)
}
