package analyze

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/sidestream/sidestream/sidecar/engine/ast"
	"github.com/sidestream/sidestream/sidecar/engine/diagnostic"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Properties of the server that stand in for those of a WITH clause.
const (
	configNewPlanner  = "ksql.new.query.planner.enabled"
	configKeyFormat   = "ksql.persistence.default.format.key"
	configValueFormat = "ksql.persistence.default.format.value"
	configWrap        = "ksql.persistence.wrap.single.values"
	configTopicPrefix = "ksql.output.topic.name.prefix"
)

// defaultRetention is how long a stream's and a windowed table's topic keeps
// records, in milliseconds: 7 days.
const defaultRetention = 604800000

// withKind tells which statement a WITH clause belongs to.
type withKind uint8

const (
	withSource   withKind = iota // CREATE STREAM | TABLE over a topic
	withCreateAs                 // CREATE … AS SELECT
)

// properties are a WITH clause, read and checked. Zero values stand for what it
// doesn't say, but for Retention.
type properties struct {
	Topic string
	// KeyFormat and ValueFormat are in upper case; FORMAT has set both.
	KeyFormat, ValueFormat string
	// keyOptions and valueOptions are for plan.Format.Props, such as "delimiter".
	keyOptions, valueOptions map[string]string
	Partitions, Replicas     int
	Retention                int64 // ms; -1 where not given
	// Timestamp is the column as written, TimestampFormat a Java date pattern.
	Timestamp, TimestampFormat string
	// WindowType is TUMBLING, HOPPING, SESSION or ""; WindowSize in ms.
	WindowType string
	WindowSize int64
	Wrap       *bool // WRAP_SINGLE_VALUE
	at         map[string]ast.Pos
}

// pos is where a property stands.
func (p *properties) pos(name string) ast.Pos { return p.at[name] }

// parseProperties reads a WITH clause.
func parseProperties(with ast.Properties, kind withKind) (*properties, error) {
	p := &properties{Retention: -1, at: map[string]ast.Pos{}}
	var unknown []string
	for i := range with {
		name := strings.ToUpper(with[i].Name)
		if _, twice := p.at[name]; twice {
			return nil, diagnostic.At(with[i].Pos, "Duplicate property: %s", name)
		}
		p.at[name] = with[i].Pos
		known, err := p.set(name, with[i].Value, kind)
		var own *diagnostic.Error
		if errors.As(err, &own) {
			return nil, own
		}
		if err != nil {
			return nil, prepare(with[i].Pos, "%v", err)
		}
		if !known {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return nil, prepare(p.at[unknown[0]], "Invalid config variable(s) in the WITH clause: %s", strings.Join(unknown, ","))
	}
	return p, p.consistent()
}

// prepare is a mistake that ksqlDB finds while it prepares a statement.
func prepare(pos ast.Pos, format string, args ...any) *diagnostic.Error {
	e := diagnostic.At(pos, "Failed to prepare statement: "+format, args...)
	e.Kind = diagnostic.Syntax
	return e
}

// set takes one property; known is false where there is none of that name.
func (p *properties) set(name string, value ast.Expr, kind withKind) (known bool, err error) {
	switch name {
	case "KAFKA_TOPIC":
		p.Topic, err = withText(name, value)
	case "FORMAT":
		if p.KeyFormat, err = withFormat(name, value); err == nil {
			p.ValueFormat = p.KeyFormat
			for _, other := range []string{"KEY_FORMAT", "VALUE_FORMAT"} {
				if _, both := p.at[other]; both {
					return true, bothFormats(other)
				}
			}
		}
	case "KEY_FORMAT", "VALUE_FORMAT":
		if _, both := p.at["FORMAT"]; both {
			return true, bothFormats(name)
		}
		if name == "KEY_FORMAT" {
			p.KeyFormat, err = withFormat(name, value)
		} else {
			p.ValueFormat, err = withFormat(name, value)
		}
	case "PARTITIONS":
		p.Partitions, err = withPositive(name, value)
	case "REPLICAS":
		p.Replicas, err = withPositive(name, value)
	case "RETENTION_MS":
		p.Retention, err = withWhole(name, value)
	case "CLEANUP_POLICY":
		e := diagnostic.At(p.pos(name), "Invalid config variable in the WITH clause: CLEANUP_POLICY.\nThe CLEANUP_POLICY config is automatically inferred based on the type of source (STREAM or TABLE).\nUsers can't set the CLEANUP_POLICY config manually.")
		e.Kind = diagnostic.General
		return true, e
	case "TIMESTAMP":
		p.Timestamp, err = withText(name, value)
	case "TIMESTAMP_FORMAT":
		p.TimestampFormat, err = withText(name, value)
	case "WRAP_SINGLE_VALUE":
		p.Wrap, err = withFlag(name, value)
	case "KEY_DELIMITER":
		p.keyOptions, err = withOption(p.keyOptions, "delimiter", name, value)
	case "VALUE_DELIMITER":
		p.valueOptions, err = withOption(p.valueOptions, "delimiter", name, value)
	case "KEY_SCHEMA_FULL_NAME":
		p.keyOptions, err = withOption(p.keyOptions, "fullSchemaName", name, value)
	case "VALUE_SCHEMA_FULL_NAME", "VALUE_AVRO_SCHEMA_FULL_NAME":
		p.valueOptions, err = withOption(p.valueOptions, "fullSchemaName", name, value)
	case "KEY_SCHEMA_ID":
		p.keyOptions, err = withOption(p.keyOptions, "schemaId", name, value)
	case "VALUE_SCHEMA_ID":
		p.valueOptions, err = withOption(p.valueOptions, "schemaId", name, value)
	case "KEY_PROTOBUF_NULLABLE_REPRESENTATION":
		p.keyOptions, err = withOption(p.keyOptions, "nullableRepresentation", name, value)
	case "VALUE_PROTOBUF_NULLABLE_REPRESENTATION":
		p.valueOptions, err = withOption(p.valueOptions, "nullableRepresentation", name, value)
	case "WINDOW_TYPE", "WINDOW_SIZE", "SOURCED_BY_CONNECTOR":
		if kind != withSource {
			return false, nil
		}
		switch name {
		case "WINDOW_TYPE":
			p.WindowType, err = withWindowType(name, value)
		case "WINDOW_SIZE":
			p.WindowSize, err = withWindowSize(name, value)
		}
	default:
		return false, nil
	}
	return true, err
}

func bothFormats(name string) error {
	return fmt.Errorf("Cannot supply both '%[1]s' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats. "+
		"Either use just 'FORMAT', or use 'KEY_FORMAT' and 'VALUE_FORMAT'.", name)
}

// consistent checks what properties ask of each other.
func (p *properties) consistent() error {
	switch {
	case p.WindowType == "SESSION" && p.WindowSize != 0:
		return prepare(p.pos("WINDOW_SIZE"), "'WINDOW_SIZE' should not be set for SESSION windows.")
	case p.WindowType != "" && p.WindowType != "SESSION" && p.WindowSize == 0:
		return prepare(p.pos("WINDOW_TYPE"), "%s windows require 'WINDOW_SIZE' to be provided in the WITH clause. For example: 'WINDOW_SIZE'='10 SECONDS'", p.WindowType)
	case p.WindowType == "" && p.WindowSize != 0:
		return prepare(p.pos("WINDOW_SIZE"), "'WINDOW_SIZE' can only be used with 'WINDOW_TYPE' of TUMBLING or HOPPING.")
	case p.TimestampFormat != "" && p.Timestamp == "":
		return prepare(p.pos("TIMESTAMP_FORMAT"), "'TIMESTAMP_FORMAT' has no meaning without 'TIMESTAMP', the column to read it from.")
	}
	return nil
}

// formats are the formats of key and value for these columns. Where the WITH
// clause and the server's configuration name none, a source must name its value
// format, and a query takes both from like, its leftmost source.
func (p *properties) formats(env *Env, s *schema.Schema, like *catalogFormats) (key, value plan.Format, err error) {
	var inheritedKey, inheritedValue plan.Format
	if like != nil {
		inheritedKey, inheritedValue = like.Key, like.Value
	}
	key = pickFormat(p.KeyFormat, p.keyOptions, inheritedKey, env.Config[configKeyFormat])
	if key.Name == "" {
		key.Name = serde.Kafka
	}
	value = pickFormat(p.ValueFormat, p.valueOptions, inheritedValue, env.Config[configValueFormat])
	if value.Name == "" {
		return key, value, diagnostic.At(ast.Pos{}, "Statement is missing the 'VALUE_FORMAT' property from the WITH clause."+
			" Either provide one or set a default via the '%s' config.", configValueFormat)
	}
	if len(s.Key) == 0 && p.KeyFormat == "" {
		key = plan.Format{Name: serde.None}
	}
	if err := p.knownFormat(env, "KEY_FORMAT", key.Name); err != nil {
		return key, value, err
	}
	if err := p.knownFormat(env, "VALUE_FORMAT", value.Name); err != nil {
		return key, value, err
	}
	if err := p.options(p.pos("KEY_DELIMITER"), key); err != nil {
		return key, value, err
	}
	if err := p.options(p.pos("VALUE_DELIMITER"), value); err != nil {
		return key, value, err
	}
	if value.Unwrapped, err = p.unwrap(env, value.Name, s); err != nil {
		return key, value, err
	}
	if key.Name == serde.Kafka && len(s.Key) == 0 {
		key = plan.Format{Name: serde.None}
	}
	err = checkFormats(s, key, value)
	if d, ok := err.(*diagnostic.Error); ok && like != nil {
		d.Kind = diagnostic.General
	}
	return key, value, err
}

// catalogFormats are the formats that a query takes from its leftmost source.
type catalogFormats struct{ Key, Value plan.Format }

// pickFormat takes the format that the statement names, the inherited one or the
// server's. Options that the statement gives apply to either.
func pickFormat(named string, options map[string]string, inherited plan.Format, configured string) plan.Format {
	out := plan.Format{Name: named}
	switch {
	case named != "":
	case inherited.Name != "":
		out.Name = inherited.Name
		out.Props = inheritable(inherited.Props)
	default:
		out.Name = strings.ToUpper(configured)
	}
	if len(options) > 0 {
		merged := make(map[string]string, len(options)+len(out.Props))
		for k, v := range out.Props {
			merged[k] = v
		}
		for k, v := range options {
			merged[k] = v
		}
		out.Props = merged
	}
	return out
}

// inheritable are the options of a source's format that hold for what is made
// from it: the name and the id of a schema are its topic's alone.
func inheritable(props map[string]string) map[string]string {
	var out map[string]string
	for k, v := range props {
		if k != "schemaId" && k != "fullSchemaName" {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	return out
}

// knownFormat refuses formats that the engine has not.
func (p *properties) knownFormat(env *Env, property, name string) error {
	pos := p.pos(property)
	if !pos.Known() {
		pos = p.pos("FORMAT")
	}
	switch name {
	case serde.Avro, serde.Protobuf, serde.JSONSchema:
		if env.Schemas != nil && serde.Known(name) {
			return nil
		}
		e := diagnostic.At(pos, "Cannot create topic '%s' with format %s without configuring 'ksql.schema.registry.url'", p.Topic, name)
		e.Kind = diagnostic.General
		e.Hint = "This server works without a Schema Registry: use JSON, DELIMITED, KAFKA or NONE."
		return e
	}
	if !serde.Known(name) {
		return diagnostic.At(pos, "Unknown format: %s", name)
	}
	return nil
}

// options refuses what a format has no use for.
func (p *properties) options(pos ast.Pos, f plan.Format) error {
	for _, name := range []string{"delimiter", "fullSchemaName", "schemaId", "nullableRepresentation"} {
		if _, ok := f.Props[name]; ok && !takesOption(f.Name, name) {
			return diagnostic.At(pos, "%s does not support the following configs: [%s]", f.Name, name)
		}
	}
	return nil
}

func takesOption(format, name string) bool {
	switch format {
	case serde.Delimited:
		return name == "delimiter"
	case serde.Avro, serde.JSONSchema:
		return name == "fullSchemaName" || name == "schemaId"
	case serde.Protobuf:
		return name == "fullSchemaName" || name == "schemaId" || name == "nullableRepresentation"
	case serde.ProtobufNoSR:
		return name == "nullableRepresentation"
	}
	return false
}

// unwrap tells whether a single value column is written bare.
func (p *properties) unwrap(env *Env, format string, s *schema.Schema) (bool, error) {
	wrap := !strings.EqualFold(env.Config[configWrap], "false")
	if p.Wrap != nil {
		wrap = *p.Wrap
		pos := p.pos("WRAP_SINGLE_VALUE")
		if n := len(s.Value); n != 1 {
			return false, diagnostic.At(pos, "'WRAP_SINGLE_VALUE' is only valid for single-field value schemas")
		}
		if wrap && !wraps(format) || !wrap && !unwraps(format) {
			return false, diagnostic.At(pos, "Format '%s' does not support 'WRAP_SINGLE_VALUE' set to '%t'.", format, wrap)
		}
	}
	return wraps(format) && unwraps(format) && len(s.Value) == 1 && !wrap, nil
}

// wraps tells whether a format can write a single column inside a record,
// unwraps whether it can write it bare.
func wraps(format string) bool {
	switch format {
	case serde.JSON, serde.JSONSchema, serde.Avro, serde.Protobuf, serde.ProtobufNoSR:
		return true
	}
	return false
}

func unwraps(format string) bool { return format != serde.Protobuf && format != serde.None }

// checkFormats says which format can't hold its columns, and why.
func checkFormats(s *schema.Schema, key, value plan.Format) error {
	var values []schema.Column
	for _, c := range s.Value {
		if !c.Headers {
			values = append(values, c)
		}
	}
	for _, half := range []struct {
		what string
		f    plan.Format
		cols []schema.Column
		key  bool
	}{{"Key", key, s.Key, true}, {"Value", value, values, false}} {
		err := serde.Check(half.f, half.cols, half.key)
		if err == nil {
			continue
		}
		columns := schema.Schema{Value: half.cols}
		if half.key {
			columns = schema.Schema{Key: half.cols}
		}
		return diagnostic.At(ast.Pos{}, "%s format does not support schema.\nformat: %s\nschema: Persistence{columns=[%s], features=[]}\nreason: %s",
			half.what, half.f.Name, columns.String(), err)
	}
	return nil
}

// timestamp is where records get their time from, by TIMESTAMP and
// TIMESTAMP_FORMAT; nil where the WITH clause has none.
func (p *properties) timestamp(s *schema.Schema) (*plan.Timestamp, error) {
	if p.Timestamp == "" {
		return nil, nil
	}
	pos := p.pos("TIMESTAMP")
	name := identifier(p.Timestamp)
	column := plan.Column{Name: name, Index: s.FindValue(name)}
	if column.Index >= 0 {
		column.Type = s.Value[column.Index].Type
	} else if column.Index = s.FindKey(name); column.Index >= 0 {
		column.InKey, column.Type = true, s.Key[column.Index].Type
	} else {
		return nil, diagnostic.At(pos, "The TIMESTAMP column set in the WITH clause does not exist in the schema: '%s'", name)
	}
	if column.Type.Kind == types.String && p.TimestampFormat != "" {
		return &plan.Timestamp{Column: column, Layout: p.TimestampFormat}, nil
	}
	if column.Type.Kind == types.Bigint || column.Type.Kind == types.Timestamp {
		if p.TimestampFormat != "" {
			return nil, diagnostic.At(p.pos("TIMESTAMP_FORMAT"), "'TIMESTAMP_FORMAT' set and timestamp column '%s' is of type %s: it is for STRING columns.",
				name, column.Type)
		}
		return &plan.Timestamp{Column: column}, nil
	}
	return nil, diagnostic.At(pos, "Timestamp column, %s, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format specified.", schema.Quote(name))
}

// identifier reads a name written as text: upper-cased unless in quotes.
func identifier(s string) string {
	s = strings.TrimSpace(s)
	if n := len(s); n >= 2 && s[0] == s[n-1] && (s[0] == '`' || s[0] == '"') {
		return strings.ReplaceAll(s[1:n-1], s[:1]+s[:1], s[:1])
	}
	return strings.ToUpper(s)
}

// newTopic is the topic a statement makes: partitions and replicas as given
// here, cleanup and retention by what it will hold unless the WITH clause says
// otherwise. Retention of a windowed table is at least minRetention.
func (p *properties) newTopic(name string, partitions, replicas int, table, windowed bool, minRetention int64) *TopicSpec {
	cleanup := "delete"
	switch {
	case table && windowed:
		cleanup = "compact,delete"
	case table:
		cleanup = "compact"
	}
	config := map[string]string{"cleanup.policy": cleanup}
	retention := p.Retention
	if retention < 0 && cleanup != "compact" {
		retention = max(defaultRetention, minRetention)
	}
	if retention >= 0 {
		config["retention.ms"] = strconv.FormatInt(retention, 10)
	}
	return &TopicSpec{Name: name, Partitions: partitions, Replicas: replicas, Config: config, Strict: p.Retention >= 0}
}

// The readers of single values.

func literalText(e ast.Expr) string {
	switch v := e.(type) {
	case *ast.StringLit:
		return v.Value
	case nil:
		return ""
	default:
		return exprText(v)
	}
}

func withText(name string, value ast.Expr) (string, error) {
	s, ok := value.(*ast.StringLit)
	if !ok {
		return "", fmt.Errorf("Invalid value %s for configuration %s: Expected value to be a string, but it was a %s", literalText(value), name, literalKind(value))
	}
	if s.Value == "" {
		return "", fmt.Errorf("Invalid value for configuration %s: it is empty", name)
	}
	return s.Value, nil
}

func literalKind(e ast.Expr) string {
	switch e.(type) {
	case *ast.IntLit, *ast.DecimalLit, *ast.DoubleLit:
		return "number"
	case *ast.BoolLit:
		return "boolean"
	}
	return "NULL"
}

func withFormat(name string, value ast.Expr) (string, error) {
	s, err := withText(name, value)
	return strings.ToUpper(s), err
}

func withWhole(name string, value ast.Expr) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(literalText(value)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("Invalid value %s for configuration %s: Not a number of type LONG", literalText(value), name)
	}
	return n, nil
}

func withPositive(name string, value ast.Expr) (int, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(literalText(value)), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("Invalid value %s for configuration %s: Not a number of type INT", literalText(value), name)
	}
	if n < 1 {
		return 0, fmt.Errorf("Invalid value %d for configuration %s: Value must be at least 1", n, name)
	}
	return int(n), nil
}

func withFlag(name string, value ast.Expr) (*bool, error) {
	b, ok := value.(*ast.BoolLit)
	if !ok {
		parsed, err := strconv.ParseBool(strings.ToLower(literalText(value)))
		if err != nil {
			return nil, fmt.Errorf("Invalid value %s for configuration %s: Expected value to be either true or false", literalText(value), name)
		}
		return &parsed, nil
	}
	return &b.Value, nil
}

// option adds an option of a format.
func withOption(to map[string]string, key, name string, value ast.Expr) (map[string]string, error) {
	s := literalText(value)
	if key == "delimiter" {
		if err := serde.Check(plan.Format{Name: serde.Delimited, Props: map[string]string{key: s}}, nil, false); err != nil {
			return nil, fmt.Errorf("Configuration %s is invalid: %w", name, err)
		}
	}
	if to == nil {
		to = map[string]string{}
	}
	to[key] = s
	return to, nil
}

func withWindowType(name string, value ast.Expr) (string, error) {
	s, err := withText(name, value)
	if err != nil {
		return "", err
	}
	switch s = strings.ToUpper(s); s {
	case "TUMBLING", "HOPPING", "SESSION":
		return s, nil
	}
	return "", fmt.Errorf("Configuration %s is invalid: Unknown window type: '%s' Valid values are: SESSION, HOPPING, TUMBLING", name, literalText(value))
}

func withWindowSize(name string, value ast.Expr) (int64, error) {
	s, err := withText(name, value)
	if err != nil {
		return 0, err
	}
	bad := func(why string) (int64, error) {
		return 0, fmt.Errorf("Configuration %s is invalid: Invalid duration: '%s'. %s", name, s, why)
	}
	words := strings.Fields(s)
	if len(words) != 2 {
		return bad("Should be in format: <SIZE> <UNIT>. For example: 10 SECONDS")
	}
	n, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil || n < 1 {
		return bad("Not number: '" + words[0] + "'")
	}
	unit, ok := ast.ParseUnit(words[1])
	if !ok || unit == ast.Months || unit == ast.Years {
		return bad("Unknown time unit: '" + strings.ToUpper(words[1]) + "'")
	}
	return ast.Duration{Value: n, Unit: unit}.Millis(), nil
}

// namedKey gives the AVRO records of a source's keys a name of their own, made of
// the source's: keys of several sources may be in one schema.
func namedKey(key plan.Format, source string) plan.Format {
	if key.Name != serde.Avro || key.Props["fullSchemaName"] != "" || key.Props["schemaId"] != "" {
		return key
	}
	props := map[string]string{"fullSchemaName": "io.confluent.ksql.avro_schemas." + camelCase(source) + "Key"}
	for k, v := range key.Props {
		props[k] = v
	}
	key.Props = props
	return key
}

// camelCase makes LeftTable of LEFT_TABLE; what no schema's name may hold is left out.
func camelCase(name string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		b.WriteString(strings.ToUpper(word[:1]) + strings.ToLower(word[1:]))
	}
	return b.String()
}
