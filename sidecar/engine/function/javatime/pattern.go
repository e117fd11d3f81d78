// Package javatime formats and parses dates and times by the patterns of Java's
// DateTimeFormatter, which SQL's date functions take: "yyyy-MM-dd HH:mm:ss".
//
// In: a pattern, and a date and time or a text. Out: a text, or a date and time.
// Names are English. Of the letters, those of week-based years and weeks, of
// localised days of the week and of padding are not known.
//
// Next: package function makes FORMAT_TIMESTAMP and its like of it.
package javatime

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Pattern is a compiled pattern. It may be used from many goroutines.
type Pattern struct {
	text  string
	parts []part
}

type part struct {
	// letter is the pattern letter, 0 for a literal, '[' and ']' for the ends of
	// an optional section.
	letter  byte
	count   int
	literal string
	// fixed is the number of digits of a field that has neither more nor fewer; 0
	// for others.
	fixed int
	// reserve is the number of digits that the fields right behind this one need.
	reserve int
}

const (
	dateLetters = "GuyMLQqdDE"
	timeLetters = "ahHkKmsSAnN"
	zoneLetters = "VzOXxZ"
)

// cache keeps compiled patterns; it is emptied when data brings too many.
var cache = struct {
	sync.Mutex
	m map[string]*Pattern
}{m: map[string]*Pattern{}}

const maxPatterns = 1000

// Compile reads a pattern. Patterns are kept, so that the same one costs
// nothing the next time.
func Compile(text string) (*Pattern, error) {
	cache.Lock()
	defer cache.Unlock()
	if p, ok := cache.m[text]; ok {
		return p, nil
	}
	text = strings.Clone(text) // it may lie in a record that is used again
	p, err := compile(text)
	if err != nil {
		return nil, err
	}
	if len(cache.m) >= maxPatterns {
		clear(cache.m)
	}
	cache.m[text] = p
	return p, nil
}

func compile(text string) (*Pattern, error) {
	p := &Pattern{text: text}
	depth := 0
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\'':
			literal, n, err := quoted(text[i:])
			if err != nil {
				return nil, fmt.Errorf("%w: %q", err, text)
			}
			p.parts = append(p.parts, part{literal: literal})
			i += n
		case c == '[' || c == ']':
			if c == '[' {
				depth++
			} else if depth--; depth < 0 {
				return nil, fmt.Errorf("Pattern invalid as it contains ] without previous [: %q", text)
			}
			p.parts = append(p.parts, part{letter: c})
			i++
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z':
			n := 1
			for i+n < len(text) && text[i+n] == c {
				n++
			}
			part, err := field(c, n)
			if err != nil {
				return nil, fmt.Errorf("%w: %q", err, text)
			}
			p.parts = append(p.parts, part)
			i += n
		case c == '{' || c == '}' || c == '#':
			return nil, fmt.Errorf("Pattern includes reserved character: '%c': %q", c, text)
		default:
			n := 1
			for i+n < len(text) && text[i+n] >= 0x80 {
				n++
			}
			p.parts = append(p.parts, part{literal: text[i : i+n]})
			i += n
		}
	}
	reserve := 0
	for i := len(p.parts) - 1; i >= 0; i-- {
		p.parts[i].reserve = reserve
		switch part := &p.parts[i]; {
		case part.fixed > 0:
			reserve += part.fixed
		default:
			reserve = 0
		}
	}
	return p, nil
}

// quoted reads 'text' from the front; ” is one quote.
func quoted(s string) (literal string, n int, err error) {
	if len(s) > 1 && s[1] == '\'' {
		return "'", 2, nil
	}
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			literal += s[i : i+1]
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			literal += "'"
			i++
			continue
		}
		return literal, i + 1, nil
	}
	return "", 0, fmt.Errorf("Pattern ends with an incomplete string literal")
}

func field(letter byte, count int) (part, error) {
	p := part{letter: letter, count: count}
	most := 0
	switch letter {
	case 'u', 'y', 'Y':
		most = 19
		if letter == 'Y' {
			return p, unknownLetter(letter)
		}
		if count == 2 {
			p.fixed = 2
		}
	case 'M', 'L', 'Q', 'q', 'E', 'G':
		most = 5
		if count == 2 && letter != 'E' && letter != 'G' {
			p.fixed = 2
		}
	case 'D':
		most = 3
		if count == 3 {
			p.fixed = 3
		}
	case 'd', 'h', 'H', 'k', 'K', 'm', 's':
		most = 2
		if count == 2 {
			p.fixed = 2
		}
	case 'S':
		most = 9
		p.fixed = count
	case 'A', 'n', 'N':
		most = 19
	case 'a':
		most = 1
	case 'z':
		most = 4
	case 'V':
		if count != 2 {
			return p, fmt.Errorf("Pattern letter count must be 2: V")
		}
		most = 2
	case 'O':
		if count != 1 && count != 4 {
			return p, fmt.Errorf("Pattern letter count must be 1 or 4: O")
		}
		most = 4
	case 'X', 'x', 'Z':
		most = 5
	default:
		return p, unknownLetter(letter)
	}
	if count > most {
		return p, fmt.Errorf("Too many pattern letters: %c", letter)
	}
	return p, nil
}

func unknownLetter(c byte) error { return fmt.Errorf("Unknown pattern letter: %c", c) }

var (
	months   = [...]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}
	weekdays = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
)

// offsetText writes an offset as a letter of its kind does.
func offsetText(letter byte, count, seconds int) string {
	switch letter {
	case 'X':
		if seconds == 0 {
			return "Z"
		}
	case 'Z':
		switch count {
		case 4:
			return gmtText(seconds, true)
		case 5:
			if seconds == 0 {
				return "Z"
			}
		default:
			count = 2
		}
	case 'O':
		return gmtText(seconds, count == 4)
	}
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	h, m, s := seconds/3600, seconds/60%60, seconds%60
	out := fmt.Sprintf("%c%02d", sign, h)
	switch count {
	case 1:
		if m != 0 {
			out += fmt.Sprintf("%02d", m)
		}
	case 2:
		out += fmt.Sprintf("%02d", m)
	case 3:
		out += fmt.Sprintf(":%02d", m)
	case 4:
		out += fmt.Sprintf("%02d", m)
		if s != 0 {
			out += fmt.Sprintf("%02d", s)
		}
	default:
		out += fmt.Sprintf(":%02d", m)
		if s != 0 {
			out += fmt.Sprintf(":%02d", s)
		}
	}
	return out
}

func gmtText(seconds int, full bool) string {
	if seconds == 0 {
		return "GMT"
	}
	sign := byte('+')
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	h, m := seconds/3600, seconds/60%60
	if full {
		return fmt.Sprintf("GMT%c%02d:%02d", sign, h, m)
	}
	if m != 0 {
		return fmt.Sprintf("GMT%c%d:%02d", sign, h, m)
	}
	return fmt.Sprintf("GMT%c%d", sign, h)
}

// fields is a moment, and which parts of it there are.
type fields struct {
	t       time.Time
	hasDate bool
	hasTime bool
	hasZone bool
}
