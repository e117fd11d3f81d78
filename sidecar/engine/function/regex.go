package function

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// matcher is a regular expression of Java's dialect. RE2 runs those it can and
// means the same by; a backtracking engine runs the others, such as those with
// lookarounds and back references, with a limit of time.
type matcher interface {
	// matches are the groups of all matches in order: [match][group]{start, end}
	// as byte offsets, -1 for a group that took no part.
	matches(s string, limit int) ([][][2]int, error)
	groups() int
}

type re2 struct{ *regexp.Regexp }

func (r re2) groups() int { return r.NumSubexp() }

func (r re2) matches(s string, limit int) ([][][2]int, error) {
	var out [][][2]int
	for _, m := range r.FindAllStringSubmatchIndex(s, limit) {
		groups := make([][2]int, len(m)/2)
		for i := range groups {
			groups[i] = [2]int{m[2*i], m[2*i+1]}
		}
		out = append(out, groups)
	}
	return out, nil
}

type backtracking struct{ *regexp2.Regexp }

func (b backtracking) groups() int { return len(b.GetGroupNumbers()) - 1 }

func (b backtracking) matches(s string, limit int) ([][][2]int, error) {
	runes := []rune(s)
	offsets := make([]int, len(runes)+1)
	for i, r := range runes {
		offsets[i+1] = offsets[i] + len(string(r))
	}
	var out [][][2]int
	m, err := b.FindRunesMatch(runes)
	for ; m != nil && err == nil && (limit < 0 || len(out) < limit); m, err = b.FindNextMatch(m) {
		groups := make([][2]int, len(m.Groups()))
		for i, g := range m.Groups() {
			if len(g.Captures) == 0 {
				groups[i] = [2]int{-1, -1}
				continue
			}
			groups[i] = [2]int{offsets[g.Index], offsets[g.Index+g.Length]}
		}
		out = append(out, groups)
	}
	return out, err
}

// regexTimeout bounds one match by the backtracking engine.
const regexTimeout = time.Second

// regexes are the compiled patterns of a query's lifetime; the table is emptied
// when data brings too many.
var regexes = struct {
	sync.Mutex
	m map[string]matcher
}{m: map[string]matcher{}}

const maxRegexes = 1000

func regexOf(pattern string) (matcher, error) {
	regexes.Lock()
	defer regexes.Unlock()
	if m, ok := regexes.m[pattern]; ok {
		return m, nil
	}
	pattern = strings.Clone(pattern) // it may lie in a record that is used again
	m, err := compileRegex(pattern)
	if err != nil {
		return nil, err
	}
	if len(regexes.m) >= maxRegexes {
		clear(regexes.m)
	}
	regexes.m[pattern] = m
	return m, nil
}

func compileRegex(pattern string) (matcher, error) {
	// Java's $ also matches before a line break at the end, and its classes know
	// && and nesting: neither means the same to RE2.
	if !strings.Contains(pattern, "$") && !strings.Contains(pattern, "&&") {
		if r, err := regexp.Compile(pattern); err == nil {
			return re2{r}, nil
		}
	}
	r, err := regexp2.Compile(pattern, regexp2.None)
	if err != nil {
		return nil, fmt.Errorf("Invalid regular expression pattern: %s: %w", pattern, err)
	}
	r.MatchTimeout = regexTimeout
	return backtracking{r}, nil
}

func group(s string, m [][2]int, i int) types.Value {
	if i >= len(m) || m[i][0] < 0 {
		return none
	}
	return text(s[m[i][0]:m[i][1]])
}

func regexFunctions() []*Scalar {
	extract := func(a []types.Value) (types.Value, error) {
		m, err := regexOf(a[0].Str())
		if err != nil {
			return none, err
		}
		n := groupNumber(a)
		if n < 0 || n > m.groups() {
			return none, nil
		}
		found, err := m.matches(a[1].Str(), 1)
		if err != nil || len(found) == 0 {
			return none, err
		}
		return group(a[1].Str(), found[0], n), nil
	}
	extractAll := func(a []types.Value) (types.Value, error) {
		m, err := regexOf(a[0].Str())
		if err != nil {
			return none, err
		}
		n := groupNumber(a)
		if n < 0 || n > m.groups() {
			return none, nil
		}
		found, err := m.matches(a[1].Str(), -1)
		if err != nil {
			return none, err
		}
		items := make([]types.Value, len(found))
		for i, f := range found {
			items[i] = group(a[1].Str(), f, n)
		}
		return types.NewArray(items), nil
	}
	return []*Scalar{
		scalar("regexp_extract", categoryRegex, "Extract the first subtring that is matched by a regex pattern, or the part of it that a group took.",
			nullable("STRING pattern, STRING input", "STRING", extract), nullable("STRING pattern, STRING input, INTEGER group", "STRING", extract)),
		scalar("regexp_extract_all", categoryRegex, "Extract all subtrings matched by a regex pattern, or the parts that a group took.",
			nullable("STRING pattern, STRING input", "ARRAY<STRING>", extractAll), nullable("STRING pattern, STRING input, INTEGER group", "ARRAY<STRING>", extractAll)),
		scalar("regexp_replace", categoryRegex, "Replaces all matches of a regexp in a string with a new string; $1 in it stands for a group.",
			nullable("STRING str, STRING regexp, STRING newStr", "STRING", regexpReplace)),
		scalar("regexp_split_to_array", categoryRegex, "Splits a string into an array of substrings based on a regexp.",
			nullable("STRING string, STRING regexp", "ARRAY<STRING>", regexpSplit)),
	}
}

func groupNumber(a []types.Value) int {
	if len(a) < 3 {
		return 0
	}
	return int(a[2].Int())
}

func regexpReplace(a []types.Value) (types.Value, error) {
	s := a[0].Str()
	m, err := regexOf(a[1].Str())
	if err != nil {
		return none, err
	}
	found, err := m.matches(s, -1)
	if err != nil {
		return none, err
	}
	var b strings.Builder
	last := 0
	for _, f := range found {
		b.WriteString(s[last:f[0][0]])
		if err := expand(&b, a[2].Str(), s, f); err != nil {
			return none, err
		}
		last = f[0][1]
	}
	b.WriteString(s[last:])
	return text(b.String()), nil
}

// expand writes a replacement: $n is a group, a backslash makes the next
// character plain.
func expand(b *strings.Builder, replacement, s string, m [][2]int) error {
	for i := 0; i < len(replacement); i++ {
		c := replacement[i]
		switch {
		case c == '\\' && i+1 < len(replacement):
			i++
			b.WriteByte(replacement[i])
		case c == '\\':
			return fmt.Errorf("the replacement ends with a backslash: %s", replacement)
		case c == '$':
			n := 0
			for i+1+n < len(replacement) && replacement[i+1+n] >= '0' && replacement[i+1+n] <= '9' {
				if g, _ := strconv.Atoi(replacement[i+1 : i+2+n]); n > 0 && g >= len(m) {
					break
				}
				n++
			}
			g, err := strconv.Atoi(replacement[i+1 : i+1+n])
			if err != nil || g >= len(m) {
				return fmt.Errorf("Illegal group reference in %s", replacement)
			}
			b.WriteString(group(s, m, g).Str())
			i += n
		default:
			b.WriteByte(c)
		}
	}
	return nil
}

// regexpSplit keeps empty parts, unless the pattern can match nothing, which
// splits between characters.
func regexpSplit(a []types.Value) (types.Value, error) {
	s := a[0].Str()
	m, err := regexOf(a[1].Str())
	if err != nil {
		return none, err
	}
	found, err := m.matches(s, -1)
	if err != nil {
		return none, err
	}
	empty, err := m.matches("", 1)
	if err != nil {
		return none, err
	}
	var parts []string
	last := 0
	for _, f := range found {
		if len(empty) > 0 && f[0][1] == 0 {
			continue
		}
		parts = append(parts, s[last:f[0][0]])
		last = f[0][1]
	}
	parts = append(parts, s[last:])
	if len(empty) > 0 {
		for len(parts) > 1 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
	}
	return textArray(parts), nil
}
