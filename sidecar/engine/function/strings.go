package function

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func onText(f func(s string) string) evalFunc {
	return func(a []types.Value) (types.Value, error) { return text(f(a[0].Str())), nil }
}

func stringFunctions() []*Scalar {
	return []*Scalar{
		scalar("concat", categoryString, "Concatenate an arbitrary number of string or bytes fields together; NULLs are left out.",
			over("STRING... inputs", "STRING", concat), over("BYTES... inputs", "BYTES", concatBytes)),
		scalar("concat_ws", categoryString, "Concatenate several strings or bytes, inserting a separator between each. NULLs are left out; a NULL separator makes NULL.",
			over("STRING separator, STRING... inputs", "STRING", concatWS), over("BYTES separator, BYTES... inputs", "BYTES", concatWSBytes)),
		scalar("UCASE", categoryString, "Converts a string to upper case.", nullable("STRING input", "STRING", onText(upper))),
		scalar("LCASE", categoryString, "Converts a string to lower case.", nullable("STRING input", "STRING", onText(strings.ToLower))),
		scalar("initcap", categoryString, "Returns the string with the first letter of each word in upper case, all other letters in lower case. Words are delimited by white space.",
			nullable("STRING str", "STRING", onText(initcap))),
		scalar("trim", categoryString, "Trims whitespace and control characters from both ends of a string.",
			nullable("STRING input", "STRING", onText(func(s string) string { return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' }) }))),
		scalar("len", categoryString, "Returns the length of a string in characters, or of bytes.",
			nullable("STRING input", "INTEGER", func(a []types.Value) (types.Value, error) { return integer(textLen(a[0].Str())), nil }),
			nullable("BYTES input", "INTEGER", func(a []types.Value) (types.Value, error) { return integer(len(a[0].Bytes())), nil })),
		scalar("substring", categoryString, "Returns a part of a string or of bytes. Positions count from 1, and from the end where they are negative.",
			nullable("STRING input, INTEGER pos", "STRING", substring), nullable("STRING input, INTEGER pos, INTEGER length", "STRING", substring),
			nullable("BYTES input, INTEGER pos", "BYTES", subbytes), nullable("BYTES input, INTEGER pos, INTEGER length", "BYTES", subbytes)),
		scalar("instr", categoryString, "Returns the position of substring in a string, from 1, or 0. A negative position searches backwards from the end; occurrence asks for the n-th match.",
			nullable("STRING str, STRING substring", "INTEGER", instr),
			nullable("STRING str, STRING substring, INTEGER pos", "INTEGER", instr),
			nullable("STRING str, STRING substring, INTEGER pos, INTEGER occurrence", "INTEGER", instr)),
		scalar("replace", categoryString, "Replaces all occurrences of a substring in a string with a new substring.",
			nullable("STRING str, STRING oldStr, STRING newStr", "STRING", func(a []types.Value) (types.Value, error) {
				return text(strings.ReplaceAll(a[0].Str(), a[1].Str(), a[2].Str())), nil
			})),
		scalar("split", categoryString, "Splits a string, or bytes, at a delimiter. An empty delimiter splits every character.",
			nullable("STRING string, STRING delimiter", "ARRAY<STRING>", func(a []types.Value) (types.Value, error) {
				return textArray(splitText(a[0].Str(), a[1].Str())), nil
			}),
			nullable("BYTES bytes, BYTES delimiter", "ARRAY<BYTES>", splitBytes)),
		scalar("split_to_map", categoryString, "Splits a string into key-value pairs and makes a map of them. The entryDelimiter stands between entries, the kvDelimiter between key and value.",
			nullable("STRING input, STRING entryDelimiter, STRING kvDelimiter", "MAP<STRING, STRING>", splitToMap)),
		scalar("chr", categoryString, "Returns the character of a Unicode code point, a number or an escape such as '\\u004b'.",
			nullable("INTEGER decimalCode", "STRING", func(a []types.Value) (types.Value, error) {
				c := a[0].Int()
				if c < 0 || c > unicode.MaxRune || utf16.IsSurrogate(rune(c)) {
					return none, nil
				}
				return text(string(rune(c))), nil
			}),
			nullable("STRING utf16Code", "STRING", chrOfEscape)),
		scalar("elt", categoryString, "Returns the n-th of the strings behind the first argument, or NULL.",
			over("INTEGER pos, STRING... args", "STRING", func(a []types.Value) (types.Value, error) {
				if n := a[0].Int(); !a[0].IsNull() && n >= 1 && n < int64(len(a)) {
					return a[n], nil
				}
				return none, nil
			})),
		scalar("field", categoryString, "Returns the position of the first string among those behind it, from 1, or 0.",
			over("STRING str, STRING... args", "INTEGER", func(a []types.Value) (types.Value, error) {
				for i, x := range a[1:] {
					if !a[0].IsNull() && !x.IsNull() && x.Str() == a[0].Str() {
						return integer(i + 1), nil
					}
				}
				return integer(0), nil
			})),
	}
}

// longUpper are the characters that become several in upper case, as in Java.
var longUpper = strings.NewReplacer("ß", "SS", "ŉ", "ʼN", "ǰ", "J̌", "ﬀ", "FF", "ﬁ", "FI", "ﬂ", "FL", "ﬃ", "FFI", "ﬄ", "FFL", "ﬅ", "ST", "ﬆ", "ST")

func upper(s string) string {
	if isASCII(s) {
		return strings.ToUpper(s)
	}
	return strings.ToUpper(longUpper.Replace(s))
}

func concat(args []types.Value) (types.Value, error) {
	var b strings.Builder
	for _, a := range args {
		b.WriteString(a.Str())
	}
	return text(b.String()), nil
}

func concatBytes(args []types.Value) (types.Value, error) {
	var out []byte
	for _, a := range args {
		out = append(out, a.Bytes()...)
	}
	return types.NewBytes(out), nil
}

func concatWS(args []types.Value) (types.Value, error) {
	if args[0].IsNull() {
		return none, nil
	}
	var parts []string
	for _, a := range args[1:] {
		if !a.IsNull() {
			parts = append(parts, a.Str())
		}
	}
	return text(strings.Join(parts, args[0].Str())), nil
}

func concatWSBytes(args []types.Value) (types.Value, error) {
	if args[0].IsNull() {
		return none, nil
	}
	var out []byte
	first := true
	for _, a := range args[1:] {
		if a.IsNull() {
			continue
		}
		if !first {
			out = append(out, args[0].Bytes()...)
		}
		first = false
		out = append(out, a.Bytes()...)
	}
	return types.NewBytes(out), nil
}

func initcap(s string) string {
	start := true
	return strings.Map(func(r rune) rune {
		if start {
			start = unicode.IsSpace(r)
			return unicode.ToTitle(r)
		}
		start = unicode.IsSpace(r)
		return unicode.ToLower(r)
	}, s)
}

// span turns a position from 1 (or from the end) and a length into bounds
// within n.
func span(n int, args []types.Value) (from, to int) {
	pos := int(args[0].Int())
	if pos < 0 {
		from = max(n+pos, 0)
	} else {
		from = max(min(pos-1, n), 0)
	}
	to = n
	if len(args) > 1 {
		to = int(max(min(int64(from)+args[1].Int(), int64(n)), int64(from)))
	}
	return from, to
}

func substring(a []types.Value) (types.Value, error) {
	s := a[0].Str()
	from, to := span(textLen(s), a[1:])
	return text(textSlice(s, from, to)), nil
}

func subbytes(a []types.Value) (types.Value, error) {
	b := a[0].Bytes()
	from, to := span(len(b), a[1:])
	return types.NewBytes(b[from:to]), nil
}

func instr(a []types.Value) (types.Value, error) {
	s, sub := utf16Of(a[0].Str()), utf16Of(a[1].Str())
	pos, occurrence := 1, 1
	if len(a) > 2 {
		pos = int(a[2].Int())
	}
	if len(a) > 3 {
		occurrence = int(a[3].Int())
	}
	at := func(i int) bool {
		for j := range sub {
			if s[i+j] != sub[j] {
				return false
			}
		}
		return true
	}
	switch {
	case pos == 0 || occurrence < 1:
		return integer(0), nil
	case pos > 0:
		for i := pos - 1; i+len(sub) <= len(s); i++ {
			if at(i) {
				if occurrence--; occurrence == 0 {
					return integer(i + 1), nil
				}
			}
		}
	default:
		for i := min(len(s)+pos, len(s)-len(sub)); i >= 0; i-- {
			if at(i) {
				if occurrence--; occurrence == 0 {
					return integer(i + 1), nil
				}
			}
		}
	}
	return integer(0), nil
}

func textArray(parts []string) types.Value {
	items := make([]types.Value, len(parts))
	for i, p := range parts {
		items[i] = text(p)
	}
	return types.NewArray(items)
}

// splitText keeps empty parts, and yields one empty part for an empty text.
func splitText(s, delimiter string) []string {
	if s == "" {
		return []string{""}
	}
	if delimiter != "" {
		return strings.Split(s, delimiter)
	}
	return strings.Split(s, "")
}

func splitBytes(a []types.Value) (types.Value, error) {
	parts := []string{""}
	if s, d := string(a[0].Bytes()), string(a[1].Bytes()); s != "" {
		if d != "" {
			parts = strings.Split(s, d)
		} else {
			parts = parts[:0]
			for i := range len(s) {
				parts = append(parts, s[i:i+1])
			}
		}
	}
	items := make([]types.Value, len(parts))
	for i, p := range parts {
		items[i] = types.NewBytes([]byte(p))
	}
	return types.NewArray(items), nil
}

func splitToMap(a []types.Value) (types.Value, error) {
	between, inside := a[1].Str(), a[2].Str()
	if between == "" || inside == "" {
		return none, nil
	}
	entries := []types.Entry{}
	for _, part := range strings.Split(a[0].Str(), between) {
		if kv := strings.Split(part, inside); len(kv) > 1 {
			entries = put(entries, text(kv[0]), text(kv[1]))
		}
	}
	return types.NewMap(entries), nil
}

// chrOfEscape reads '\u004b', also several in a row.
func chrOfEscape(a []types.Value) (types.Value, error) {
	s := a[0].Str()
	if len(s) < 6 || !strings.HasPrefix(s, `\u`) {
		return none, nil
	}
	var units []uint16
	for s != "" {
		if len(s) < 6 || !strings.HasPrefix(s, `\u`) {
			return none, fmt.Errorf("%q is not an escape such as \\u004b", a[0].Str())
		}
		u, err := strconv.ParseUint(s[2:6], 16, 16)
		if err != nil {
			return none, fmt.Errorf("%q is not an escape such as \\u004b", a[0].Str())
		}
		units, s = append(units, uint16(u)), s[6:]
	}
	return text(string(utf16.Decode(units))), nil
}
