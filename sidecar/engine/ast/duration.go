package ast

import (
	"strconv"
	"strings"
	"time"
)

// Unit is a unit of time, in its plural form ("HOURS").
type Unit string

// The units of windows; DATEADD and its like take the longer ones besides.
const (
	Milliseconds Unit = "MILLISECONDS"
	Seconds      Unit = "SECONDS"
	Minutes      Unit = "MINUTES"
	Hours        Unit = "HOURS"
	Days         Unit = "DAYS"
	Months       Unit = "MONTHS"
	Years        Unit = "YEARS"
)

var unitLength = map[Unit]time.Duration{
	Milliseconds: time.Millisecond,
	Seconds:      time.Second,
	Minutes:      time.Minute,
	Hours:        time.Hour,
	Days:         24 * time.Hour,
}

// ParseUnit is the unit of that name, singular or plural, in any case.
func ParseUnit(name string) (Unit, bool) {
	upper := strings.ToUpper(name)
	if !strings.HasSuffix(upper, "S") {
		upper += "S"
	}
	switch u := Unit(upper); u {
	case Milliseconds, Seconds, Minutes, Hours, Days, Months, Years:
		return u, true
	}
	return "", false
}

// Duration is a length of time as written: `10 SECONDS`.
type Duration struct {
	Pos
	Value int64
	Unit  Unit
}

// Length is the duration as time. The parser admits units of fixed length only
// where a duration stands.
func (d Duration) Length() time.Duration { return time.Duration(d.Value) * unitLength[d.Unit] }

// Millis is the duration in milliseconds.
func (d Duration) Millis() int64 { return d.Value * unitLength[d.Unit].Milliseconds() }

// String is the duration in canonical form: `1 HOURS`.
func (d Duration) String() string { return strconv.FormatInt(d.Value, 10) + " " + string(d.Unit) }
