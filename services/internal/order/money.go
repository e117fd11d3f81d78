package order

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Money is an amount in hundredths: DECIMAL(12,2) in SQL, a number with two
// decimals in JSON, never a float.
type Money int64

// MaxMoney is the largest amount that DECIMAL(12,2) holds; the smallest is its
// negation.
const MaxMoney Money = 9_999_999_999_99

// Errors of ParseMoney.
var (
	ErrMoneyRange     = errors.New("is outside of DECIMAL(12,2): at most 10 digits before the point")
	ErrMoneyPrecision = errors.New("has more than two decimals")
)

// String writes m with two decimals: 5.00, -0.07.
func (m Money) String() string { return string(m.append(nil)) }

func (m Money) append(b []byte) []byte {
	u := uint64(m)
	if m < 0 {
		b = append(b, '-')
		u = -u
	}
	b = strconv.AppendUint(b, u/100, 10)
	return append(b, '.', byte('0'+u/10%10), byte('0'+u%10))
}

// MarshalJSON writes m as a number with two decimals.
func (m Money) MarshalJSON() ([]byte, error) { return m.append(nil), nil }

// UnmarshalJSON reads a JSON number, as ParseMoney does.
func (m *Money) UnmarshalJSON(b []byte) error {
	v, err := ParseMoney(string(b))
	if err != nil {
		return err
	}
	*m = v
	return nil
}

// ParseMoney reads a JSON number (digits, point, exponent) exactly. An amount
// with digits behind the second decimal is ErrMoneyPrecision, one that is too
// large ErrMoneyRange.
func ParseMoney(s string) (Money, error) {
	text, exponent := s, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		e, err := strconv.Atoi(text[i+1:])
		if err != nil {
			var ne *strconv.NumError
			if !errors.As(err, &ne) || !errors.Is(ne.Err, strconv.ErrRange) {
				return 0, fmt.Errorf("%q isn't a number", s)
			}
			e = 1 << 20 // far outside, in either direction: the sign is kept below
			if text[i+1] == '-' {
				e = -e
			}
		}
		text, exponent = text[:i], e
	}
	negative := strings.HasPrefix(text, "-")
	text = strings.TrimPrefix(text, "-")
	whole, fraction, point := strings.Cut(text, ".")
	digits := whole + fraction
	if whole == "" || (point && fraction == "") || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%q isn't a number", s)
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return 0, nil
	}
	// digits × 10^(shift) hundredths
	shift := exponent - len(fraction) + 2
	for shift < 0 && strings.HasSuffix(digits, "0") {
		digits, shift = digits[:len(digits)-1], shift+1
	}
	if len(digits)+shift > 12 {
		return 0, fmt.Errorf("%s %w", s, ErrMoneyRange)
	}
	if shift < 0 {
		return 0, fmt.Errorf("%s %w", s, ErrMoneyPrecision)
	}
	v, err := strconv.ParseInt(digits+strings.Repeat("0", shift), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s %w", s, ErrMoneyRange)
	}
	if negative {
		v = -v
	}
	return Money(v), nil
}
