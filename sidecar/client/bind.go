package client

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Bind replaces each '?' of the text that stands outside of quotes and
// comments by the next argument, written as an SQL literal that can't be
// anything else: text in quotes with its quotes doubled, numbers as they are.
//
// ksqlDB replaces ${name} even inside of quotes where a request defines
// variables, so don't send bound text from outside along with Variables.
func Bind(sql string, args ...any) (string, error) {
	var b strings.Builder
	used := 0
	for i := 0; i < len(sql); {
		if n := skip(sql[i:]); n > 0 { // quoted text, a name or a comment
			b.WriteString(sql[i : i+n])
			i += n
			continue
		}
		if sql[i] != '?' {
			b.WriteByte(sql[i])
			i++
			continue
		}
		if used == len(args) {
			return "", fmt.Errorf("bind: more than %d placeholders in %q", len(args), sql)
		}
		lit, err := Literal(args[used])
		if err != nil {
			return "", fmt.Errorf("bind: argument %d: %w", used+1, err)
		}
		b.WriteString(lit)
		used++
		i++
	}
	if used != len(args) {
		return "", fmt.Errorf("bind: %d arguments for %d placeholders in %q", len(args), used, sql)
	}
	return b.String(), nil
}

// skip returns the length of the quoted text, quoted name or comment that s
// starts with, or 0. One that isn't closed runs to the end: the server's
// parser will tell.
func skip(s string) int {
	switch {
	case s[0] == '\'' || s[0] == '"' || s[0] == '`':
		// A doubled quote ends one quoted part and starts the next.
		if end := strings.IndexByte(s[1:], s[0]); end >= 0 {
			return end + 2
		}
		return len(s)
	case strings.HasPrefix(s, "--"):
		if end := strings.IndexByte(s, '\n'); end >= 0 {
			return end
		}
		return len(s)
	case strings.HasPrefix(s, "/*"):
		if end := strings.Index(s[2:], "*/"); end >= 0 {
			return end + 4
		}
		return len(s)
	}
	return 0
}

// Literal writes a Go value as an SQL literal: string, bool, any integer,
// float64, json.Number (for DECIMAL: its digits), nil, []string as ARRAY[…].
func Literal(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "NULL", nil
	case string:
		if strings.ContainsRune(v, 0) {
			return "", fmt.Errorf("text with a NUL character")
		}
		return "'" + strings.ReplaceAll(v, "'", "''") + "'", nil
	case bool:
		return strings.ToUpper(strconv.FormatBool(v)), nil
	case json.Number:
		if !plainNumber(string(v)) {
			return "", fmt.Errorf("%q isn't a number", v)
		}
		return string(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int32:
		return strconv.FormatInt(int64(v), 10), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		lit := strconv.FormatFloat(v, 'E', -1, 64) // E makes it a DOUBLE, not a DECIMAL
		if strings.ContainsAny(lit, "IN") {
			return "", fmt.Errorf("%v has no SQL literal", v)
		}
		return lit, nil
	case []string:
		parts := make([]string, len(v))
		for i := range v {
			lit, err := Literal(v[i])
			if err != nil {
				return "", err
			}
			parts[i] = lit
		}
		return "ARRAY[" + strings.Join(parts, ", ") + "]", nil
	default:
		return "", fmt.Errorf("a %T has no SQL literal", v)
	}
}

// plainNumber accepts digits with a sign and a point, and nothing that could
// be read as more SQL.
func plainNumber(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	only := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return only(whole) && (!point || only(fraction))
}

// Name quotes an identifier so that it keeps its case: a`b → `a“b`.
func Name(identifier string) string {
	return "`" + strings.ReplaceAll(identifier, "`", "``") + "`"
}
