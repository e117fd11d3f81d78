package types

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/apd/v3"
)

// maxExponent bounds the powers of ten that a decimal's text may ask for, so
// that "1E999999999" costs nothing.
const maxExponent = 1000

// ParseDecimal reads a decimal number as Java's BigDecimal does (digits, point,
// exponent, no blanks), keeping the scale it is written with; a negative scale
// (1E2) becomes scale 0.
func ParseDecimal(s string) (Value, error) {
	if v, ok := parseSmallDecimal(s); ok {
		return v, nil
	}
	digits, scale, err := decimalDigits(s)
	if err != nil {
		return Value{}, err
	}
	b, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return Value{}, notNumber(s)
	}
	if scale < 0 {
		b.Mul(b, pow10Big(-scale))
		scale = 0
	}
	return newUnscaled(b, scale), nil
}

func notNumber(s string) error { return fmt.Errorf("%q is not a number", s) }

// parseSmallDecimal is the quick way for plain numbers that fit 64 bits.
func parseSmallDecimal(s string) (Value, bool) {
	i, neg := 0, false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	if len(s)-i > 19 || i == len(s) {
		return Value{}, false
	}
	var u int64
	point, digits := -1, 0
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && point < 0 {
			point = i
			continue
		}
		if c < '0' || c > '9' {
			return Value{}, false
		}
		u = u*10 + int64(c-'0')
		digits++
	}
	if digits == 0 || digits > 18 {
		return Value{}, false
	}
	if neg {
		u = -u
	}
	scale := 0
	if point >= 0 {
		scale = len(s) - point - 1
	}
	return NewDecimal(u, scale), true
}

// decimalDigits checks a number's text and gives its digits without the point,
// and its scale.
func decimalDigits(s string) (digits string, scale int, err error) {
	mantissa, exp := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		if exp, err = strconv.Atoi(s[i+1:]); err != nil || strings.Contains(s[i+1:], "_") {
			return "", 0, notNumber(s)
		}
		if exp > maxExponent || exp < -maxExponent {
			return "", 0, fmt.Errorf("the exponent of %q is out of range", s)
		}
	}
	if i := strings.IndexByte(mantissa, '.'); i >= 0 {
		scale = len(mantissa) - i - 1
		mantissa = mantissa[:i] + mantissa[i+1:]
	}
	bare := strings.TrimPrefix(mantissa, "+")
	if bare == mantissa {
		bare = strings.TrimPrefix(mantissa, "-")
	}
	if bare == "" || strings.Trim(bare, "0123456789") != "" || len(bare) > 2*maxExponent {
		return "", 0, notNumber(s)
	}
	return strings.TrimPrefix(mantissa, "+"), scale - exp, nil
}

// newUnscaled makes a DECIMAL of b × 10^-scale.
func newUnscaled(b *big.Int, scale int) Value {
	if b.IsInt64() && scale >= 0 && scale < 128 {
		return NewDecimal(b.Int64(), scale)
	}
	d := &apd.Decimal{Exponent: -int32(scale)}
	if b.Sign() < 0 {
		d.Negative = true
		b = new(big.Int).Neg(b)
	}
	d.Coeff.SetMathBigInt(b)
	return NewApd(d)
}

// Fit gives a DECIMAL the scale of t, or says why it doesn't fit: serdes read
// decimals so, without rounding.
func Fit(v Value, t Type) (Value, error) {
	if u, s, ok := v.SmallDecimal(); ok && t.Precision <= 18 {
		switch {
		case s < t.Scale && t.Scale-s < len(pow10):
			if p := pow10[t.Scale-s]; u <= math.MaxInt64/p && u >= math.MinInt64/p {
				u, s = u*p, t.Scale
			}
		case s > t.Scale && s-t.Scale < len(pow10):
			if p := pow10[s-t.Scale]; u%p == 0 {
				u, s = u/p, t.Scale
			}
		}
		if s == t.Scale && u < pow10[t.Precision] && u > -pow10[t.Precision] {
			return NewDecimal(u, s), nil
		}
	}
	b, s := unscaled(v)
	need := fmt.Sprintf("(Requires %d,%d)", digitCount(b), s)
	if s > t.Scale {
		q, r := new(big.Int).QuoRem(b, pow10Big(s-t.Scale), new(big.Int))
		if r.Sign() != 0 {
			return Value{}, fmt.Errorf("Cannot fit decimal '%s' into DECIMAL(%d, %d) without rounding. %s",
				FormatDecimal(v), t.Precision, t.Scale, need)
		}
		b = q
	} else {
		b = b.Mul(b, pow10Big(t.Scale-s))
	}
	if digitCount(b) > t.Precision {
		return Value{}, fmt.Errorf("Cannot fit decimal '%s' into DECIMAL(%d, %d) as it would truncate left digits to %d. %s",
			FormatDecimal(v), t.Precision, t.Scale, t.Precision-t.Scale, need)
	}
	return newUnscaled(b, t.Scale), nil
}

// Round gives a DECIMAL the scale of t, rounding half up as CAST does; an error
// when it has too many digits.
func Round(v Value, t Type) (Value, error) {
	b, s := unscaled(v)
	if s > t.Scale {
		b = quoHalfUp(b, pow10Big(s-t.Scale))
	} else {
		b.Mul(b, pow10Big(t.Scale-s))
	}
	if digitCount(b) > t.Precision {
		return Value{}, fmt.Errorf("Numeric field overflow: A field with precision %d and scale %d must round to an absolute value less than 10^%d. Got %s",
			t.Precision, t.Scale, t.Precision-t.Scale, FormatDecimal(v))
	}
	return newUnscaled(b, t.Scale), nil
}

func quoHalfUp(a, b *big.Int) *big.Int {
	q, r := new(big.Int).QuoRem(a, b, new(big.Int))
	if r.Abs(r).Lsh(r, 1).Cmp(b) >= 0 {
		q.Add(q, big.NewInt(int64(a.Sign())))
	}
	return q
}

func digitCount(b *big.Int) int {
	n := len(b.Text(10))
	if b.Sign() < 0 {
		n--
	}
	return n
}

var pow10 = func() (p [19]int64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return p
}()

func pow10Big(n int) *big.Int {
	if n < len(pow10) {
		return big.NewInt(pow10[n])
	}
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// ParseDouble reads a number as Java's Double.parseDouble does, but for its
// suffixes (1.5f), which SQL doesn't know, and hexadecimal.
func ParseDouble(s string) (float64, error) {
	t := strings.TrimSpace(s)
	switch t {
	case "NaN", "+NaN", "-NaN":
		return math.NaN(), nil
	case "Infinity", "+Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	if strings.Trim(t, "0123456789.eE+-") != "" {
		return 0, notNumber(s)
	}
	f, err := strconv.ParseFloat(t, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, notNumber(s)
	}
	return f, nil // out of range is ±Infinity, as in Java
}

// ParseBool is ksqlDB's reading of a STRING as BOOLEAN: a beginning of "true"
// or "yes" in any case is true, everything else false.
func ParseBool(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	return s != "" && (strings.HasPrefix("true", s) || strings.HasPrefix("yes", s))
}

// ParseDate reads ISO text, of which the day and the month may be missing, as
// days since 1970-01-01. A time behind it is an error.
func ParseDate(s string) (int64, error) {
	days, rest, ok := isoDate(s)
	if !ok || rest != "" {
		return 0, fmt.Errorf("Failed to parse date '%s': it must look like yyyy-MM-dd, yyyy-MM or yyyy", s)
	}
	return days, nil
}

// ParseTime reads HH:mm[:ss[.SSS]] as milliseconds of the day.
func ParseTime(s string) (int64, error) {
	ms, rest, ok := isoTime(s, 2)
	if !ok || rest != "" {
		return 0, fmt.Errorf("Failed to parse time '%s': it must look like HH:mm:ss.SSS, HH:mm:ss or HH:mm", s)
	}
	return ms, nil
}

// ParseTimestamp reads ISO text, cut short anywhere, with an optional zone (UTC
// without): milliseconds since the epoch.
func ParseTimestamp(s string) (int64, error) {
	fail := fmt.Errorf("Failed to parse timestamp '%s': it must look like yyyy-MM-dd'T'HH:mm:ss.SSS[zone], and may be cut short", s)
	days, rest, ok := isoDate(s)
	if !ok {
		return 0, fail
	}
	ms := days * dayMillis
	if rest == "" {
		return ms, nil
	}
	if rest[0] != 'T' {
		return 0, fail
	}
	rest = rest[1:]
	if rest == "" {
		return ms, nil
	}
	ofDay, rest, ok := isoTime(rest, 1)
	if !ok {
		return 0, fail
	}
	offset, ok := zoneOffset(rest, ms+ofDay)
	if !ok {
		return 0, fail
	}
	return ms + ofDay - offset, nil
}

// isoDate reads yyyy[-M[M][-d[d]]] from the front of s.
func isoDate(s string) (days int64, rest string, ok bool) {
	sign := 1
	if s != "" && (s[0] == '-' || s[0] == '+') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	y, rest, ok := number(s, 4, 9)
	if !ok {
		return 0, s, false
	}
	m, d := 1, 1
	if v, r, ok := numberBehind(rest, '-', 1, 2); ok {
		m, rest = v, r
		if v, r, ok := numberBehind(rest, '-', 1, 2); ok {
			d, rest = v, r
		}
	}
	y *= sign
	t := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	if m < 1 || m > 12 || t.Day() != d || int(t.Month()) != m {
		return 0, s, false
	}
	return t.Unix() / (dayMillis / 1000), rest, true
}

// isoTime reads HH[:mm[:ss[.fraction]]], minParts of them at least, from the
// front of s.
func isoTime(s string, minParts int) (ms int64, rest string, ok bool) {
	h, rest, ok := number(s, 2, 2)
	if !ok || h > 24 {
		return 0, s, false
	}
	var parts = 1
	m, sec := 0, 0
	if v, r, ok := numberBehind(rest, ':', 2, 2); ok {
		m, rest, parts = v, r, 2
		if v, r, ok := numberBehind(rest, ':', 2, 2); ok {
			sec, rest = v, r
			if len(rest) > 0 && rest[0] == '.' {
				end := 1
				for end < len(rest) && end < 10 && rest[end] >= '0' && rest[end] <= '9' {
					end++
				}
				if end == 1 {
					return 0, s, false
				}
				frac, _ := strconv.Atoi((rest[1:end] + "00")[:3])
				ms, rest = int64(frac), rest[end:]
			}
		}
	}
	if m > 59 || sec > 59 || parts < minParts {
		return 0, s, false
	}
	// 24:00 is the end of a day, where a date goes before it.
	if h == 24 && (minParts > 1 || m+sec > 0 || ms > 0) {
		return 0, s, false
	}
	return ms + int64(h*3600+m*60+sec)*1000, rest, true
}

func numberBehind(s string, sep byte, least, most int) (int, string, bool) {
	if s == "" || s[0] != sep {
		return 0, s, false
	}
	return number(s[1:], least, most)
}

func number(s string, least, most int) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && i < most && s[i] >= '0' && s[i] <= '9' {
		n = n*10 + int(s[i]-'0')
		i++
	}
	return n, s[i:], i >= least
}

// zoneOffset gives the milliseconds east of UTC of a zone's text: Z, an offset
// or a name, at the local time given.
func zoneOffset(zone string, local int64) (int64, bool) {
	zone = strings.Trim(zone, "[]")
	switch zone {
	case "", "Z", "z", "UTC", "GMT":
		return 0, true
	}
	if zone[0] == '+' || zone[0] == '-' {
		h, rest, ok := number(zone[1:], 1, 2)
		if !ok || h > 18 {
			return 0, false
		}
		m, rest2, hasMinutes := number(strings.TrimPrefix(rest, ":"), 2, 2)
		if rest != "" && (!hasMinutes || rest2 != "" || m > 59) {
			return 0, false
		}
		offset := int64(h*60+m) * 60_000
		if zone[0] == '-' {
			offset = -offset
		}
		return offset, true
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return 0, false
	}
	t := time.UnixMilli(local).UTC()
	_, seconds := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), loc).Zone()
	return int64(seconds) * 1000, true
}
