package javatime

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// FormatTimestamp writes a moment in its location.
func (p *Pattern) FormatTimestamp(t time.Time) (string, error) {
	return p.format(fields{t, true, true, true})
}

// FormatDate writes a date, given as midnight UTC. Letters of times are an
// error.
func (p *Pattern) FormatDate(t time.Time) (string, error) {
	return p.format(fields{t, true, false, false})
}

// FormatTime writes a time of day, given on any day in UTC. Letters of dates
// are an error.
func (p *Pattern) FormatTime(t time.Time) (string, error) {
	return p.format(fields{t, false, true, false})
}

func (p *Pattern) format(f fields) (string, error) {
	var out strings.Builder
	for _, part := range p.parts {
		switch {
		case part.letter == 0:
			out.WriteString(part.literal)
			continue
		case part.letter == '[' || part.letter == ']':
			continue
		case strings.IndexByte(dateLetters, part.letter) >= 0 && !f.hasDate,
			strings.IndexByte(timeLetters, part.letter) >= 0 && !f.hasTime,
			strings.IndexByte(zoneLetters, part.letter) >= 0 && !f.hasZone:
			return "", fmt.Errorf("Unsupported field: the pattern %q has the letter %c, which the value has no part for", p.text, part.letter)
		}
		out.WriteString(part.write(f.t))
	}
	return out.String(), nil
}

func pad(n int64, width int) string {
	s := strconv.FormatInt(n, 10)
	if n < 0 {
		return "-" + pad(-n, width)
	}
	if len(s) < width {
		s = strings.Repeat("0", width-len(s)) + s
	}
	return s
}

// name cuts a name to the form that the number of letters asks for.
func name(full string, count int) string {
	switch count {
	case 4:
		return full
	case 5:
		return full[:1]
	}
	return full[:3]
}

func (p part) write(t time.Time) string {
	switch p.letter {
	case 'G':
		if t.Year() < 1 {
			return [...]string{"BC", "Before Christ", "B"}[eraForm(p.count)]
		}
		return [...]string{"AD", "Anno Domini", "A"}[eraForm(p.count)]
	case 'u', 'y':
		y := int64(t.Year())
		if p.letter == 'y' && y < 1 {
			y = 1 - y
		}
		if p.count == 2 {
			return pad((y%100+100)%100, 2)
		}
		if p.count >= 4 && y >= pow(p.count) {
			return "+" + strconv.FormatInt(y, 10)
		}
		return pad(y, p.count)
	case 'M', 'L':
		if p.count > 2 {
			return name(months[t.Month()-1], p.count)
		}
		return pad(int64(t.Month()), p.count)
	case 'Q', 'q':
		q := (int64(t.Month()) + 2) / 3
		switch p.count {
		case 3:
			return "Q" + pad(q, 1)
		case 4:
			return [...]string{"1st", "2nd", "3rd", "4th"}[q-1] + " quarter"
		case 5:
			return pad(q, 1)
		}
		return pad(q, p.count)
	case 'd':
		return pad(int64(t.Day()), p.count)
	case 'D':
		return pad(int64(t.YearDay()), p.count)
	case 'E':
		return name(weekdays[t.Weekday()], p.count)
	}
	if s, ok := p.writeTime(t); ok {
		return s
	}
	zone, offset := t.Zone()
	switch p.letter {
	case 'V':
		return zoneID(t.Location())
	case 'z':
		if t.Location() == time.UTC && p.count < 4 {
			return "UTC"
		}
		if strings.HasPrefix(zone, "+") || strings.HasPrefix(zone, "-") {
			return zoneID(t.Location())
		}
		return zone
	default:
		return offsetText(p.letter, p.count, offset)
	}
}

func (p part) writeTime(t time.Time) (string, bool) {
	h := int64(t.Hour())
	nanoOfDay := (h*3600+int64(t.Minute())*60+int64(t.Second()))*1e9 + int64(t.Nanosecond())
	switch p.letter {
	case 'a':
		if h < 12 {
			return "AM", true
		}
		return "PM", true
	case 'H':
		return pad(h, p.count), true
	case 'k':
		if h == 0 {
			h = 24
		}
		return pad(h, p.count), true
	case 'K':
		return pad(h%12, p.count), true
	case 'h':
		if h %= 12; h == 0 {
			h = 12
		}
		return pad(h, p.count), true
	case 'm':
		return pad(int64(t.Minute()), p.count), true
	case 's':
		return pad(int64(t.Second()), p.count), true
	case 'S':
		return pad(int64(t.Nanosecond()), 9)[:p.count], true
	case 'A':
		return pad(nanoOfDay/1e6, p.count), true
	case 'n':
		return pad(int64(t.Nanosecond()), p.count), true
	case 'N':
		return pad(nanoOfDay, p.count), true
	}
	return "", false
}

func eraForm(count int) int { return max(0, count-3) }

func pow(n int) int64 {
	out := int64(1)
	for range min(n, 18) {
		out *= 10
	}
	return out
}
