package function

import (
	"errors"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/function/javatime"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

const millisPerDay = 86_400_000

// dayOf is midnight UTC of a DATE.
func dayOf(days int64) time.Time { return time.Unix(days*86_400, 0).UTC() }

// daysOf is the DATE of a moment in UTC.
func daysOf(t time.Time) int64 {
	s := t.Unix()
	days := s / 86_400
	if s%86_400 < 0 {
		days--
	}
	return days
}

var errInterval = errors.New("the first argument must be a unit of time, such as DAYS")

// interval is an amount of units in milliseconds.
func interval(unit, amount types.Value) (int64, error) {
	length := unitLength(unit)
	if length == 0 {
		return 0, errInterval
	}
	return length * amount.Int(), nil
}

func formatDate(days int64, pattern string) (types.Value, error) {
	p, err := javatime.Compile(pattern)
	if err != nil {
		return none, err
	}
	s, err := p.FormatDate(dayOf(days))
	return text(s), err
}

// parseDate reads a date by one of the ways of reading a pattern.
func parseDate(s, pattern string, read func(p *javatime.Pattern, s string) (*javatime.Parsed, error)) (int64, error) {
	p, err := javatime.Compile(pattern)
	if err != nil {
		return 0, err
	}
	parsed, err := read(p, s)
	if err != nil {
		return 0, err
	}
	if parsed.HasTime {
		return 0, errors.New("Date format contains time field.")
	}
	return daysOf(parsed.Time(time.UTC).UTC()), nil
}

func dateFunctions() []*Scalar {
	add := func(name, doc string, sign int64) *Scalar {
		return scalar(name, categoryDateTime, doc,
			nullable("INTERVALUNIT unit, INTEGER interval, DATE date", "DATE", func(a []types.Value) (types.Value, error) {
				ms, err := interval(a[0], a[1])
				// Whole days count; a fraction of a day has no effect.
				return types.NewDate(a[2].Int() + sign*(ms/millisPerDay)), err
			}))
	}
	return []*Scalar{
		add("dateadd", "Adds a duration to a DATE value.", 1),
		add("datesub", "Subtracts a duration from a DATE value.", -1),
		scalar("datetostring", categoryDateTime, "Converts a number of days since epoch to a date string using the given format pattern.",
			nullable("INTEGER epochDays, STRING formatPattern", "STRING", func(a []types.Value) (types.Value, error) { return formatDate(a[0].Int(), a[1].Str()) })),
		scalar("format_date", categoryDateTime, "Converts a DATE value to a string using the given format pattern.",
			nullable("DATE date, STRING formatPattern", "STRING", func(a []types.Value) (types.Value, error) { return formatDate(a[0].Int(), a[1].Str()) })),
		scalar("stringtodate", categoryDateTime, "Converts a string representation of a date into an integer representing days since epoch using the given format pattern.",
			nullable("STRING formattedDate, STRING formatPattern", "INTEGER", func(a []types.Value) (types.Value, error) {
				d, err := parseDate(a[0].Str(), a[1].Str(), (*javatime.Pattern).Parse)
				return integer(int(d)), err
			})),
		scalar("parse_date", categoryDateTime, "Converts a string representation of a date in the given format into a DATE value.",
			nullable("STRING formattedDate, STRING formatPattern", "DATE", func(a []types.Value) (types.Value, error) {
				d, err := parseDate(a[0].Str(), a[1].Str(), (*javatime.Pattern).ParseFront)
				return types.NewDate(d), err
			})),
		scalar("from_days", categoryDateTime, "Converts a number of days since epoch to a DATE value.",
			nullable("INTEGER days", "DATE", func(a []types.Value) (types.Value, error) { return types.NewDate(a[0].Int()), nil })),
		scalar("unix_date", categoryDateTime, "Gets an integer representing days since epoch.",
			over("", "INTEGER", func([]types.Value) (types.Value, error) { return integer(int(daysOf(time.Now()))), nil }).docs("Of the current date."),
			nullable("DATE date", "INTEGER", func(a []types.Value) (types.Value, error) { return integer(int(a[0].Int())), nil })),
	}
}
