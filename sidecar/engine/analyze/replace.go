package analyze

import (
	"fmt"
	"sort"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/catalog"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
)

// checkReplace says why a source can't take the place of another: columns may
// be added at the end and nothing else may change.
func checkReplace(old, next *catalog.Source) error {
	var reasons []string
	differs := func(what, was, is string) {
		if was != is {
			reasons = append(reasons, fmt.Sprintf("DataSource '%s' has %s = %s which is not upgradeable to %s", schema.Quote(old.Name), what, was, is))
		}
	}
	differs("type", javaKind(old), javaKind(next))
	if why := schemaChange(&old.Schema, &next.Schema); why != "" {
		differs("schema", old.Schema.String(), next.Schema.String()+". ("+why+")")
	}
	differs("timestampColumn", timestampText(old.Timestamp), timestampText(next.Timestamp))
	differs("topic", topicText(old), topicText(next))
	if reasons == nil {
		return nil
	}
	return diagnostic.At(ast.Pos{}, "Cannot upgrade data source: %s", strings.Join(reasons, "\n\tAND "))
}

func javaKind(s *catalog.Source) string { return "K" + s.Kind() }

// schemaChange tells which of the columns aren't where they were, or "".
func schemaChange(old, next *schema.Schema) string {
	if lost := moved(old.Key, next.Key, true); lost != nil {
		return fmt.Sprintf("Key columns must be identical. The following key columns are changed, missing or reordered: [%s]", strings.Join(lost, ", "))
	}
	if len(next.Key) > len(old.Key) {
		return fmt.Sprintf("Key columns must be identical. The following key columns are changed, missing or reordered: [%s]",
			strings.Join(moved(next.Key, old.Key, true), ", "))
	}
	if lost := moved(old.Value, next.Value, false); lost != nil {
		return fmt.Sprintf("The following columns are changed, missing or reordered: [%s]", strings.Join(lost, ", "))
	}
	return ""
}

// moved are the columns of from that to doesn't have in the same place.
func moved(from, to []schema.Column, key bool) []string {
	var out []string
	for i, c := range from {
		if i < len(to) && to[i].Name == c.Name && to[i].Type.Equal(c.Type) {
			continue
		}
		text := schema.Quote(c.Name) + " " + c.Type.String()
		if key {
			text += " KEY"
		}
		out = append(out, text)
	}
	return out
}

func timestampText(t *plan.Timestamp) string {
	if t == nil {
		return "Optional.empty"
	}
	layout := "Optional.empty"
	if t.Layout != "" {
		layout = "Optional[" + t.Layout + "]"
	}
	return "Optional[TimestampColumn{column=" + schema.Quote(t.Column.Name) + ", format=" + layout + "}]"
}

// topicText is a topic with its formats as ksqlDB prints it.
func topicText(s *catalog.Source) string {
	window := "Optional.empty"
	if s.WindowText != "" {
		size := "Optional.empty"
		if s.Window == plan.TimeWindow {
			size = fmt.Sprintf("Optional[%d]", s.WindowSize)
		}
		window = "Optional[WindowInfo{type=" + s.WindowText + ", size=" + size + ", emitStrategy=CHANGES}]"
	}
	return fmt.Sprintf("KsqlTopic{kafkaTopicName='%s', keyFormat=KeyFormat{format=%s, features=[], window=%s}, valueFormat=ValueFormat{format=%s, features=[%s]}}",
		s.Topic, formatText(s.KeyFormat), window, formatText(s.ValueFormat), featureText(s.ValueFormat))
}

func formatText(f plan.Format) string {
	options := make([]string, 0, len(f.Props))
	for k, v := range f.Props {
		options = append(options, k+"="+v)
	}
	sort.Strings(options)
	return "FormatInfo{format=" + f.Name + ", properties={" + strings.Join(options, ", ") + "}}"
}

func featureText(f plan.Format) string {
	if f.Unwrapped {
		return "UNWRAP_SINGLES"
	}
	return ""
}
