package javatime

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones must be there whatever the machine has
)

// abbreviations are the short zone names that texts use, by their usual
// meaning.
var abbreviations = map[string]string{
	"UTC": "UTC", "GMT": "UTC", "Z": "UTC", "UT": "UTC",
	"PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "MST": "America/Denver", "MDT": "America/Denver",
	"CST": "America/Chicago", "CDT": "America/Chicago", "EST": "America/New_York", "EDT": "America/New_York",
	"AKST": "America/Anchorage", "AKDT": "America/Anchorage", "HST": "Pacific/Honolulu",
	"BST": "Europe/London", "WET": "Europe/Lisbon", "WEST": "Europe/Lisbon", "CET": "Europe/Paris", "CEST": "Europe/Paris",
	"EET": "Europe/Athens", "EEST": "Europe/Athens", "MSK": "Europe/Moscow", "IST": "Asia/Kolkata", "JST": "Asia/Tokyo",
	"KST": "Asia/Seoul", "SGT": "Asia/Singapore", "HKT": "Asia/Hong_Kong", "AEST": "Australia/Sydney", "AEDT": "Australia/Sydney",
	"NZST": "Pacific/Auckland", "NZDT": "Pacific/Auckland",
}

// Zone is the time zone of a Java zone id: a region, an offset such as +0200 or
// +02:00, or UTC, GMT or UT with an offset behind it.
func Zone(id string) (*time.Location, error) {
	bad := fmt.Errorf("Unknown time-zone ID: %s", id)
	if id == "" {
		return nil, bad
	}
	if id == "Z" || id == "UTC" || id == "GMT" || id == "UT" {
		return time.UTC, nil
	}
	offset := id
	for _, prefix := range []string{"UTC", "GMT", "UT"} {
		if strings.HasPrefix(id, prefix) && len(id) > len(prefix) && (id[len(prefix)] == '+' || id[len(prefix)] == '-') {
			offset = id[len(prefix):]
		}
	}
	if offset[0] == '+' || offset[0] == '-' {
		seconds, rest, ok := readOffset(offset)
		if !ok || rest != "" {
			return nil, bad
		}
		return fixed(seconds), nil
	}
	if !strings.Contains(id, "/") {
		if region, ok := abbreviations[id]; ok {
			id = region
		}
	}
	loc, err := time.LoadLocation(id)
	if err != nil || id == "Local" {
		return nil, bad
	}
	return loc, nil
}

// fixed is the zone of an offset, which its name is too.
func fixed(seconds int) *time.Location {
	if seconds == 0 {
		return time.UTC
	}
	return time.FixedZone(offsetText('x', 3, seconds), seconds)
}

func zoneID(l *time.Location) string { return l.String() }

// readOffset reads +HH, +HHMM, +HH:MM, and seconds behind them.
func readOffset(s string) (seconds int, rest string, ok bool) {
	if s == "" || s[0] != '+' && s[0] != '-' {
		return 0, s, false
	}
	sign := 1
	if s[0] == '-' {
		sign = -1
	}
	parts, rest := 0, s[1:]
	for _, unit := range []int{3600, 60, 1} {
		r := rest
		if parts > 0 {
			r = strings.TrimPrefix(r, ":")
		}
		n := min(2, digits(r))
		if n == 0 || n == 1 && parts > 0 {
			break
		}
		v, _ := strconv.Atoi(r[:n])
		if parts > 0 && v > 59 {
			return 0, s, false
		}
		seconds += v * unit
		rest = r[n:]
		parts++
	}
	if parts == 0 || seconds > 18*3600 {
		return 0, s, false
	}
	return sign * seconds, rest, true
}

// readZone reads a zone from the front of s, as the letter of the part has it.
func readZone(s string, p part) (*time.Location, string, bool) {
	switch p.letter {
	case 'X':
		if s != "" && (s[0] == 'Z' || s[0] == 'z') {
			return time.UTC, s[1:], true
		}
	case 'Z':
		if p.count == 5 && s != "" && (s[0] == 'Z' || s[0] == 'z') {
			return time.UTC, s[1:], true
		}
	}
	if s != "" && (s[0] == '+' || s[0] == '-') {
		seconds, rest, ok := readOffset(s)
		if !ok {
			return nil, s, false
		}
		return fixed(seconds), rest, true
	}
	if p.letter == 'X' || p.letter == 'x' {
		return nil, s, false
	}
	n := 0
	for n < len(s) && (s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' || strings.IndexByte("/_+-:0123456789", s[n]) >= 0) {
		n++
	}
	for ; n > 0; n-- {
		id := s[:n]
		if !strings.Contains(id, "/") {
			id = strings.ToUpper(id)
		}
		if loc, err := Zone(id); err == nil {
			return loc, s[n:], true
		}
	}
	return nil, s, false
}
