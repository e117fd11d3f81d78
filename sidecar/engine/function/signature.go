package function

import (
	"fmt"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Signatures of the built-in functions are written as DESCRIBE FUNCTION shows
// them: "ARRAY<T> list, LAMBDA (T) => BOOLEAN test". A single capital letter is
// a type variable; ANY takes everything; DECIMAL any precision and scale;
// "STRING... rest" repeats the last parameter, zero or more times.

// anyVar is the variable that every type fits and that binds nothing.
const anyVar = "ANY"

// signature is a parsed list of parameters.
func signature(text string) (params []Param, variadic bool) {
	p := &sigParser{text: text}
	for p.skip(); p.rest() != ""; p.skip() {
		if variadic {
			panic("function: only the last parameter may repeat: " + text)
		}
		shape := p.shape()
		if strings.HasPrefix(p.rest(), "...") {
			p.at += 3
			variadic = true
		}
		param := Param{Name: p.word()}
		if t, ok := plainType(shape); ok {
			param.Type = t
		} else {
			param.Shape = shape
		}
		params = append(params, param)
		if p.skip(); p.rest() != "" {
			p.expect(",")
		}
	}
	return params, variadic
}

// resultShape is a parsed result type.
func resultShape(text string) *Shape {
	p := &sigParser{text: text}
	s := p.shape()
	if p.skip(); p.rest() != "" {
		panic("function: bad type " + text)
	}
	return s
}

// plainType is the type that a shape without holes is.
func plainType(s *Shape) (types.Type, bool) {
	if s.Var != "" || s.Kind == types.Lambda {
		return types.Type{}, false
	}
	t := types.Type{Kind: s.Kind, Fields: s.fields}
	if s.Key != nil {
		k, ok := plainType(s.Key)
		if !ok {
			return t, false
		}
		t.Key = &k
	}
	if s.Elem != nil {
		e, ok := plainType(s.Elem)
		if !ok {
			return t, false
		}
		t.Elem = &e
	}
	return t, true
}

type sigParser struct {
	text string
	at   int
}

func (p *sigParser) rest() string { return p.text[p.at:] }

func (p *sigParser) skip() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

func (p *sigParser) expect(s string) {
	p.skip()
	if !strings.HasPrefix(p.rest(), s) {
		panic(fmt.Sprintf("function: %q expected before %q in %q", s, p.rest(), p.text))
	}
	p.at += len(s)
}

func (p *sigParser) peek(s string) bool {
	p.skip()
	return strings.HasPrefix(p.rest(), s)
}

func (p *sigParser) word() string {
	p.skip()
	start := p.at
	for p.at < len(p.text) && (p.text[p.at] == '_' || p.text[p.at] >= '0' && p.text[p.at] <= '9' ||
		p.text[p.at]|0x20 >= 'a' && p.text[p.at]|0x20 <= 'z') {
		p.at++
	}
	return p.text[start:p.at]
}

var kindsByName = map[string]types.Kind{"BOOLEAN": types.Boolean, "INT": types.Integer, "INTEGER": types.Integer,
	"BIGINT": types.Bigint, "DECIMAL": types.Decimal, "DOUBLE": types.Double, "STRING": types.String, "BYTES": types.Bytes,
	"DATE": types.Date, "TIME": types.Time, "TIMESTAMP": types.Timestamp, "STRUCT": types.Struct, "INTERVALUNIT": types.IntervalUnit}

func (p *sigParser) shape() *Shape {
	name := p.word()
	switch {
	case name == anyVar || len(name) == 1:
		return &Shape{Var: name}
	case name == "ARRAY":
		p.expect("<")
		s := &Shape{Kind: types.Array, Elem: p.shape()}
		p.expect(">")
		return s
	case name == "MAP":
		p.expect("<")
		s := &Shape{Kind: types.Map, Key: p.shape()}
		p.expect(",")
		s.Elem = p.shape()
		p.expect(">")
		return s
	case name == "LAMBDA":
		s := &Shape{Kind: types.Lambda}
		for p.expect("("); !p.peek(")"); {
			s.Params = append(s.Params, *p.shape())
			if !p.peek(")") {
				p.expect(",")
			}
		}
		p.expect(")")
		p.expect("=>")
		s.Result = p.shape()
		return s
	}
	k, ok := kindsByName[name]
	if !ok {
		panic(fmt.Sprintf("function: unknown type %q in %q", name, p.text))
	}
	return &Shape{Kind: k}
}

// String is the shape as messages show it.
func (s *Shape) String() string {
	switch {
	case s.Var != "":
		return s.Var
	case s.Kind == types.Array:
		return "ARRAY<" + s.Elem.String() + ">"
	case s.Kind == types.Map:
		return "MAP<" + s.Key.String() + ", " + s.Elem.String() + ">"
	case s.Kind == types.Lambda:
		parts := make([]string, len(s.Params))
		for i := range s.Params {
			parts[i] = s.Params[i].String()
		}
		return "LAMBDA (" + strings.Join(parts, ", ") + ") => " + s.Result.String()
	}
	return s.Kind.String()
}

// TypeText is the parameter's type as messages and DESCRIBE FUNCTION show it:
// DECIMAL without precision where any will do.
func (p Param) TypeText() string {
	if p.Shape != nil {
		return p.Shape.String()
	}
	return loose(p.Type)
}

func loose(t types.Type) string {
	switch t.Kind {
	case types.Decimal:
		if t.Precision == 0 {
			return "DECIMAL"
		}
	case types.Array:
		return "ARRAY<" + loose(*t.Elem) + ">"
	case types.Map:
		return "MAP<" + loose(*t.Key) + ", " + loose(*t.Elem) + ">"
	}
	return t.String()
}

// Returns is the result's type, with the variables of the parameters; a DECIMAL
// and a STRUCT stand for those that the call makes of its arguments.
func (o *Overload) Returns() *Shape { return returns(o.result, o.Return) }

// Returns is the type of the column that the function yields.
func (o *TableOverload) Returns() *Shape { return returns(o.result, o.Return) }

// Returns is the result's type.
func (o *AggregateOverload) Returns() *Shape { return resultShape(o.ReturnText) }

func returns(shape *Shape, t types.Type) *Shape {
	if shape != nil {
		return shape
	}
	out := &Shape{Kind: t.Kind, fields: t.Fields}
	if t.Key != nil {
		out.Key = returns(nil, *t.Key)
	}
	if t.Elem != nil {
		out.Elem = returns(nil, *t.Elem)
	}
	return out
}
