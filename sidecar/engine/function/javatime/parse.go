package javatime

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parsed is what a text said. Missing parts of a date count as those of
// 1970-01-01, missing parts of a time as zero.
type Parsed struct {
	Year, Month, Day int
	// NanoOfDay is the time of day.
	NanoOfDay int64
	// Location is nil where the text named no zone.
	Location         *time.Location
	HasDate, HasTime bool
}

// Time is the moment, in the location that the text named or in the one given.
func (p *Parsed) Time(otherwise *time.Location) time.Time {
	loc := p.Location
	if loc == nil {
		loc = otherwise
	}
	s, n := int(p.NanoOfDay/1e9), int(p.NanoOfDay%1e9)
	return time.Date(p.Year, time.Month(p.Month), p.Day, s/3600, s/60%60, s%60, n, loc)
}

// values are the fields read so far, -1 for those that were not.
type values struct {
	at         map[byte]int64
	zone       *time.Location
	am, pm, bc bool
	// lenient takes numbers of any length, and values beyond their range, as
	// SimpleDateFormat does.
	lenient bool
}

// Parse reads the whole text. Letters may have any case.
func (p *Pattern) Parse(text string) (*Parsed, error) {
	v := &values{at: map[byte]int64{}}
	rest, ok := p.read(p.parts, text, v)
	if !ok || rest != "" {
		return nil, fmt.Errorf("Text '%s' could not be parsed with the pattern '%s' at index %d", text, p.text, len(text)-len(rest))
	}
	out, err := v.resolve()
	if err != nil {
		return nil, fmt.Errorf("Text '%s' could not be parsed with the pattern '%s': %w", text, p.text, err)
	}
	return out, nil
}

// ParseFront reads the front of the text as Java's SimpleDateFormat does: what
// is behind is ignored, numbers may have fewer or more digits than letters, and
// a 13th month is the first of the next year.
func (p *Pattern) ParseFront(text string) (*Parsed, error) {
	v := &values{at: map[byte]int64{}, lenient: true}
	if rest, ok := p.read(p.parts, text, v); !ok {
		return nil, fmt.Errorf("Unparseable date: \"%s\" (pattern '%s', at index %d)", text, p.text, len(text)-len(rest))
	}
	return v.resolve()
}

// read matches the parts against the front of s.
func (p *Pattern) read(parts []part, s string, v *values) (rest string, ok bool) {
	for i := 0; i < len(parts); i++ {
		part := parts[i]
		switch part.letter {
		case 0:
			if len(s) < len(part.literal) || !strings.EqualFold(s[:len(part.literal)], part.literal) {
				return s, false
			}
			s = s[len(part.literal):]
		case ']':
		case '[':
			end := closing(parts, i)
			saved := v.copy()
			if r, ok := p.read(parts[i+1:end], s, v); ok {
				s = r
			} else {
				*v = *saved
			}
			i = end
		default:
			if s, ok = part.read(s, v); !ok {
				return s, false
			}
		}
	}
	return s, true
}

// closing is the index of the ] that ends the section at i, or the end.
func closing(parts []part, i int) int {
	depth := 0
	for ; i < len(parts); i++ {
		switch parts[i].letter {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(parts)
}

func (v *values) copy() *values {
	out := *v
	out.at = make(map[byte]int64, len(v.at))
	for k, x := range v.at {
		out.at[k] = x
	}
	return &out
}

func (p part) read(s string, v *values) (string, bool) {
	switch p.letter {
	case 'G':
		return readName(s, []string{"AD", "Anno Domini", "BC", "Before Christ"}, func(i int) { v.bc = i > 1 })
	case 'M', 'L':
		if p.count > 2 {
			return readName(s, forms(months[:], p.count), func(i int) { v.at['M'] = int64(i + 1) })
		}
	case 'E':
		return readName(s, forms(weekdays[:], p.count), func(i int) { v.at['E'] = int64(i) })
	case 'a':
		return readName(s, []string{"AM", "PM"}, func(i int) { v.am, v.pm = i == 0, i == 1 })
	case 'z', 'V', 'O', 'X', 'x', 'Z':
		loc, rest, ok := readZone(s, p)
		v.zone = loc
		return rest, ok
	}
	return p.readNumber(s, v)
}

func (p part) readNumber(s string, v *values) (string, bool) {
	letter := p.letter
	if letter == 'L' {
		letter = 'M'
	}
	least, most := 1, 19
	switch {
	case v.lenient && p.reserve == 0:
	case p.fixed > 0:
		least, most = p.fixed, p.fixed
	case letter == 'y' || letter == 'u':
		least = min(p.count, 4)
	case letter == 'D' && p.count == 2:
		least, most = 2, 3
	}
	i := 0
	negative := false
	if p.fixed == 0 && s != "" && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		i = 1
	}
	start := i
	for i < len(s) && i-start < most && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if p.fixed == 0 && p.reserve > 0 {
		i = max(start, min(i, start+digits(s[start:])-p.reserve))
	}
	if i-start < least {
		return s, false
	}
	n, err := strconv.ParseInt(s[start:i], 10, 64)
	if err != nil {
		return s, false
	}
	switch {
	case letter == 'S':
		n *= pow(9 - p.count)
	case (letter == 'y' || letter == 'u') && p.count == 2 && i-start == 2:
		n += 2000
	}
	if negative {
		n = -n
	}
	v.at[letter] = n
	return s[i:], true
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func forms(names []string, count int) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = name(n, count)
	}
	return out
}

// readName takes the longest of the names that s begins with.
func readName(s string, names []string, found func(i int)) (string, bool) {
	best := -1
	for i, n := range names {
		if len(s) >= len(n) && strings.EqualFold(s[:len(n)], n) && (best < 0 || len(n) > len(names[best])) {
			best = i
		}
	}
	if best < 0 {
		return s, false
	}
	found(best)
	return s[len(names[best]):], true
}

func (v *values) resolve() (*Parsed, error) {
	out := &Parsed{Year: 1970, Month: 1, Day: 1, Location: v.zone}
	get := func(letter byte, low, high int64) (int64, bool, error) {
		n, ok := v.at[letter]
		if ok && (n < low || n > high) && !v.lenient {
			return 0, false, fmt.Errorf("the value %d of %c is not in the range %d to %d", n, letter, low, high)
		}
		return n, ok, nil
	}
	if err := v.resolveDate(out, get); err != nil {
		return nil, err
	}
	return out, v.resolveTime(out, get)
}

func (v *values) resolveDate(out *Parsed, get func(byte, int64, int64) (int64, bool, error)) error {
	for _, f := range []struct {
		letter    byte
		low, high int64
		set       func(int64)
	}{
		{'u', -999999999, 999999999, func(n int64) { out.Year = int(n) }},
		{'y', 1, 999999999, func(n int64) {
			out.Year = int(n)
			if v.bc {
				out.Year = 1 - out.Year
			}
		}},
		{'Q', 1, 4, func(n int64) { out.Month = int(n)*3 - 2 }},
		{'M', 1, 12, func(n int64) { out.Month = int(n) }},
		{'d', 1, 31, func(n int64) { out.Day = int(n) }},
		{'D', 1, 366, func(n int64) {
			t := time.Date(out.Year, 1, int(n), 0, 0, 0, 0, time.UTC)
			out.Month, out.Day = int(t.Month()), t.Day()
		}},
	} {
		n, ok, err := get(f.letter, f.low, f.high)
		if err != nil {
			return err
		}
		if ok {
			f.set(n)
			out.HasDate = true
		}
	}
	// A day behind the month's end is its end, as Java's smart resolver has it.
	if last := time.Date(out.Year, time.Month(out.Month)+1, 0, 0, 0, 0, 0, time.UTC).Day(); out.Day > last && !v.lenient {
		out.Day = last
	}
	if want, ok := v.at['E']; ok {
		if got := time.Date(out.Year, time.Month(out.Month), out.Day, 0, 0, 0, 0, time.UTC).Weekday(); int64(got) != want && out.HasDate {
			return fmt.Errorf("the day is a %s, not a %s", weekdays[got], weekdays[want])
		}
	}
	return nil
}

func (v *values) resolveTime(out *Parsed, get func(byte, int64, int64) (int64, bool, error)) error {
	var hour, minute, second, nano int64
	half := int64(0)
	if v.pm {
		half = 12
	}
	for _, f := range []struct {
		letter    byte
		low, high int64
		set       func(int64)
	}{
		{'H', 0, 24, func(n int64) { hour = n }},
		{'k', 1, 24, func(n int64) { hour = n % 24 }},
		{'h', 1, 12, func(n int64) { hour = n%12 + half }},
		{'K', 0, 11, func(n int64) { hour = n + half }},
		{'m', 0, 59, func(n int64) { minute = n }},
		{'s', 0, 59, func(n int64) { second = n }},
		{'S', 0, 999999999, func(n int64) { nano = n }},
		{'n', 0, 999999999, func(n int64) { nano = n }},
		{'A', 0, 86399999, func(n int64) { hour, minute, second, nano = 0, 0, 0, n*1e6 }},
		{'N', 0, 86399999999999, func(n int64) { hour, minute, second, nano = 0, 0, 0, n }},
	} {
		n, ok, err := get(f.letter, f.low, f.high)
		if err != nil {
			return err
		}
		if ok {
			f.set(n)
			out.HasTime = true
		}
	}
	out.NanoOfDay = (hour*3600+minute*60+second)*1e9 + nano
	if out.NanoOfDay > 24*3600*1e9 {
		return fmt.Errorf("24:00 is the end of a day")
	}
	return nil
}
