package registry

import (
	"fmt"
	"strings"

	"github.com/hamba/avro/v2"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sidestream/sidestream/sidecar/engine/serde"
)

// parsed is a schema that could be read; one of the three is set.
type parsed struct {
	Schema   // the text as the registry keeps it
	identity string
	avro     avro.Schema
	file     protoreflect.FileDescriptor
	json     *jsonSchema
}

// parse reads a schema that comes in, or says what is wrong with it.
func (m *Embedded) parse(s Schema) (*parsed, error) {
	s.Type = typeOf(s.Type)
	if s.Type != Avro && s.Type != Protobuf && s.Type != JSON {
		return nil, refuse(CodeBadSchema, "Invalid schema type %s: it must be AVRO, PROTOBUF or JSON", s.Type)
	}
	if strings.TrimSpace(s.Text) == "" {
		return nil, refuse(CodeBadSchema, "Invalid schema: it is empty")
	}
	if s.Type != Protobuf {
		tree, err := parseTree(s.Text)
		if err == nil && s.Type == Avro {
			tree, err = canonicalAvro(tree, "")
		}
		if err != nil {
			return nil, invalid(s, err)
		}
		s.Text = treeText(tree)
	}
	refs, err := m.references(s)
	if err != nil {
		return nil, err
	}
	p, err := read(s, refs)
	if err != nil {
		return nil, invalid(s, err)
	}
	return p, nil
}

func invalid(s Schema, err error) error {
	return refuse(CodeBadSchema, "Invalid schema %s with refs %v of type %s, details: %v", s.Text, s.References, s.Type, err)
}

// read reads a schema's text.
func read(s Schema, refs map[string]string) (*parsed, error) {
	p := &parsed{Schema: s, identity: identity(s)}
	var err error
	switch s.Type {
	case Protobuf:
		p.file, err = serde.ParseProtobuf(s.Text, refs)
	case JSON:
		p.json, err = newJSONSchema(s.Text, refs)
	default:
		p.avro, err = serde.ParseAvro(s.Text, refs)
	}
	return p, err
}

// plain is a schema's text without what means nothing: PROTOBUF's white space and
// comments. Other texts are kept without such.
func plain(s Schema) string {
	if s.Type != Protobuf {
		return s.Text
	}
	var b strings.Builder
	rest := s.Text
	for rest != "" {
		switch c := rest[0]; {
		case strings.HasPrefix(rest, "//"):
			_, rest, _ = strings.Cut(rest, "\n")
			b.WriteByte(' ')
		case strings.HasPrefix(rest, "/*"):
			_, rest, _ = strings.Cut(rest, "*/")
			b.WriteByte(' ')
		case c == '"' || c == '\'':
			end := 1
			for end < len(rest) && rest[end] != c {
				if rest[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(rest))
			b.WriteString(rest[:end])
			rest = rest[end:]
		case strings.ContainsRune(" \t\r\n", rune(c)):
			b.WriteByte(' ')
			rest = strings.TrimLeft(rest, " \t\r\n")
		default:
			b.WriteByte(c)
			rest = rest[1:]
		}
	}
	return tight(b.String())
}

// tight takes out blanks that divide no words, where no quotes are.
func tight(text string) string {
	var b strings.Builder
	var quote byte
	word := func(c byte) bool {
		return c == '_' || c == '.' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == '\\' && i+1 < len(text) {
				b.WriteByte(c)
				i++
				c = text[i]
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == ' ' && (i == 0 || i+1 == len(text) || !word(text[i-1]) || !word(text[i+1])):
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// check gives what keeps a schema from a subject at a level, "" of which are the
// versions that count; nil when nothing does.
func (m *Embedded) check(subject string, p *parsed, level string) []string {
	all := m.live(subject, false)
	if !strings.HasSuffix(level, "_TRANSITIVE") && len(all) > 1 {
		all = all[len(all)-1:]
	}
	for i := len(all) - 1; i >= 0; i-- {
		if problems := m.against(all[i], p, level); len(problems) > 0 {
			return problems
		}
	}
	return nil
}

// against compares a schema with a version.
func (m *Embedded) against(v placed, p *parsed, level string) []string {
	if level == None {
		return nil
	}
	old := m.schemas[v.ID]
	problems := m.compare(old.Schema, p, strings.TrimSuffix(level, "_TRANSITIVE"))
	if len(problems) > 0 {
		problems = append(problems, fmt.Sprintf("{oldSchemaVersion: %d}", v.Number), fmt.Sprintf("{oldSchema: '%s'}", old.Text), fmt.Sprintf("{compatibility: '%s'}", level))
	}
	return problems
}

func (m *Embedded) compare(old Schema, p *parsed, level string) []string {
	if old.Type != p.Type {
		return []string{fmt.Sprintf("{errorType:'TYPE_CHANGED', description:'The new schema is of type %s, the old one of type %s'}", p.Type, old.Type)}
	}
	refs, err := m.references(old)
	if err != nil {
		return []string{err.Error()}
	}
	o, err := read(old, refs)
	if err != nil {
		return []string{fmt.Sprintf("the old schema can't be read: %v", err)}
	}
	var problems []string
	if level != Forward {
		problems = unreadable(p, o, "new", "old")
	}
	if level != Backward && len(problems) == 0 {
		problems = unreadable(o, p, "old", "new")
	}
	return problems
}

// unreadable says why what was written by one schema can't be read by the other.
func unreadable(reader, writer *parsed, readerName, writerName string) []string {
	switch reader.Type {
	case Protobuf:
		return unreadableProto(reader.file, writer.file, readerName, writerName)
	case JSON:
		return unreadableJSON(reader.json, writer.json, readerName, writerName)
	}
	c := &avroComparison{reader: readerName, writer: writerName, seen: map[[2]avro.Schema]bool{}}
	c.compare(reader.avro, writer.avro, "/")
	return c.problems
}

// problem is a message as the API words it.
func problem(kind, format string, args ...any) string {
	return fmt.Sprintf("{errorType:'%s', description:'%s'}", kind, fmt.Sprintf(format, args...))
}
