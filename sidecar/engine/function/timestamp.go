package function

import (
	"errors"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/function/javatime"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// zoneArg is the zone in argument i, UTC where there is none.
func zoneArg(a []types.Value, i int) (*time.Location, error) {
	if i >= len(a) {
		return time.UTC, nil
	}
	return javatime.Zone(a[i].Str())
}

func formatTimestamp(a []types.Value) (types.Value, error) {
	p, err := javatime.Compile(a[1].Str())
	if err != nil {
		return none, err
	}
	zone, err := zoneArg(a, 2)
	if err != nil {
		return none, err
	}
	s, err := p.FormatTimestamp(time.UnixMilli(a[0].Int()).In(zone))
	return text(s), err
}

func parseTimestamp(a []types.Value) (int64, error) {
	p, err := javatime.Compile(a[1].Str())
	if err != nil {
		return 0, err
	}
	zone, err := zoneArg(a, 2)
	if err != nil {
		return 0, err
	}
	parsed, err := p.Parse(a[0].Str())
	if err != nil {
		return 0, err
	}
	return parsed.Time(zone).UnixMilli(), nil
}

// timeOfDay brings milliseconds into a day: time goes round the clock.
func timeOfDay(ms int64) types.Value {
	return types.NewTime(((ms % millisPerDay) + millisPerDay) % millisPerDay)
}

func timestampFunctions() []*Scalar {
	type adder = func(v types.Value, ms int64) types.Value
	add := func(name, kind, doc string, sign int64, sum adder) *Scalar {
		return scalar(name, categoryDateTime, doc,
			nullable("INTERVALUNIT unit, INTEGER interval, "+kind+" value", kind, func(a []types.Value) (types.Value, error) {
				ms, err := interval(a[0], a[1])
				return sum(a[2], sign*ms), err
			}))
	}
	onTimestamp := func(v types.Value, ms int64) types.Value { return types.NewTimestamp(v.Int() + ms) }
	onTime := func(v types.Value, ms int64) types.Value { return timeOfDay(v.Int() + ms) }
	millis := func(a []types.Value) (types.Value, error) {
		ms, err := parseTimestamp(a)
		return bigint(ms), err
	}
	moment := func(a []types.Value) (types.Value, error) {
		ms, err := parseTimestamp(a)
		return types.NewTimestamp(ms), err
	}
	return []*Scalar{
		add("timestampadd", "TIMESTAMP", "Adds a duration to a TIMESTAMP value.", 1, onTimestamp),
		add("timestampsub", "TIMESTAMP", "Subtracts a duration from a TIMESTAMP value.", -1, onTimestamp),
		add("timeadd", "TIME", "Adds a duration to a TIME value.", 1, onTime),
		add("timesub", "TIME", "Subtracts a duration from a TIME value.", -1, onTime),
		scalar("timestamptostring", categoryDateTime, "Converts a number of milliseconds since epoch to a string using the given format pattern, in UTC or the given time zone.",
			nullable("BIGINT epochMilli, STRING formatPattern", "STRING", formatTimestamp),
			nullable("BIGINT epochMilli, STRING formatPattern, STRING timeZone", "STRING", formatTimestamp)),
		scalar("format_timestamp", categoryDateTime, "Converts a TIMESTAMP value into the string representation of the timestamp in the given format, in UTC or the given time zone.",
			nullable("TIMESTAMP timestamp, STRING formatPattern", "STRING", formatTimestamp),
			nullable("TIMESTAMP timestamp, STRING formatPattern, STRING timeZone", "STRING", formatTimestamp)),
		scalar("stringtotimestamp", categoryDateTime, "Converts a string representation of a date in the given format into the BIGINT value that represents the millisecond timestamp.",
			nullable("STRING formattedTimestamp, STRING formatPattern", "BIGINT", millis),
			nullable("STRING formattedTimestamp, STRING formatPattern, STRING timeZone", "BIGINT", millis)),
		scalar("parse_timestamp", categoryDateTime, "Converts a string representation of a date in the given format into the TIMESTAMP value.",
			nullable("STRING formattedTimestamp, STRING formatPattern", "TIMESTAMP", moment),
			nullable("STRING formattedTimestamp, STRING formatPattern, STRING timeZone", "TIMESTAMP", moment)),
		scalar("format_time", categoryDateTime, "Converts a TIME value into the string representation of the time in the given format.",
			nullable("TIME time, STRING formatPattern", "STRING", func(a []types.Value) (types.Value, error) {
				p, err := javatime.Compile(a[1].Str())
				if err != nil {
					return none, err
				}
				s, err := p.FormatTime(time.UnixMilli(a[0].Int()).UTC())
				return text(s), err
			})),
		scalar("parse_time", categoryDateTime, "Converts a string representation of a time in the given format into a TIME value.",
			nullable("STRING formattedTime, STRING formatPattern", "TIME", func(a []types.Value) (types.Value, error) {
				p, err := javatime.Compile(a[1].Str())
				if err != nil {
					return none, err
				}
				parsed, err := p.Parse(a[0].Str())
				if err != nil {
					return none, err
				}
				if parsed.HasDate {
					return none, errors.New("Time format contains date field.")
				}
				return types.NewTime(parsed.NanoOfDay / 1e6), nil
			})),
		scalar("from_unixtime", categoryDateTime, "Converts a BIGINT millisecond timestamp value into a TIMESTAMP value.",
			nullable("BIGINT epochMilli", "TIMESTAMP", func(a []types.Value) (types.Value, error) { return types.NewTimestamp(a[0].Int()), nil })),
		scalar("unix_timestamp", categoryDateTime, "Gets the Unix timestamp in milliseconds, represented as a BIGINT.",
			over("", "BIGINT", func([]types.Value) (types.Value, error) { return bigint(time.Now().UnixMilli()), nil }).docs("Of the current time."),
			nullable("TIMESTAMP timestamp", "BIGINT", func(a []types.Value) (types.Value, error) { return bigint(a[0].Int()), nil })),
		scalar("convert_tz", categoryDateTime, "Converts a TIMESTAMP value from one timezone to another.",
			nullable("TIMESTAMP timestamp, STRING fromTz, STRING toTz", "TIMESTAMP", convertTZ)),
	}
}

// convertTZ moves a timestamp by the difference of two zones at that moment.
func convertTZ(a []types.Value) (types.Value, error) {
	from, err := javatime.Zone(a[1].Str())
	if err != nil {
		return none, err
	}
	to, err := javatime.Zone(a[2].Str())
	if err != nil {
		return none, err
	}
	local := time.UnixMilli(a[0].Int()).UTC()
	moment := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), local.Nanosecond(), from)
	_, offset := moment.In(to).Zone()
	return types.NewTimestamp(moment.UnixMilli() + int64(offset)*1000), nil
}
