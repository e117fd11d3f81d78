package types_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/types"
)

func TestDoubleText(t *testing.T) {
	for text, f := range map[string]float64{
		"1.0": 1, "-2.75": -2.75, "1.0E10": 1e10, "9.007199254740992E15": 9007199254740993,
		"0.001": 0.001, "9.0E-4": 0.0009, "9999999.0": 9999999, "1.0E7": 1e7, "0.0": 0, "-0.0": math.Copysign(0, -1),
		"4.9E-324": math.SmallestNonzeroFloat64, "1.7976931348623157E308": math.MaxFloat64,
		"0.3333333333333333": 1.0 / 3, "NaN": math.NaN(), "-Infinity": math.Inf(-1), "123456.789": 123456.789,
	} {
		require.Equal(t, text, types.FormatDouble(f))
	}
}

func decimal(t *testing.T, s string) types.Value {
	v, err := types.ParseDecimal(s)
	require.NoError(t, err, s)
	return v
}

func TestDecimalText(t *testing.T) {
	for in, out := range map[string]string{
		"1.50": "1.50", "-0.05": "-0.05", "+7": "7", "1E2": "100", "1.5e1": "15", "12e-4": "0.0012",
		"123456789012345678901234567890.5": "123456789012345678901234567890.5", "-.5": "-0.5", "0.00": "0.00",
		"-12345678901234567890.01": "-12345678901234567890.01", "00.10": "0.10",
	} {
		require.Equal(t, out, types.FormatDecimal(decimal(t, in)), in)
	}
	for _, bad := range []string{"", "-", ".", "1_0", "1e", "0x1", "1.2.3", " 1", "1E999999999", "NaN", "--1", "+-1"} {
		_, err := types.ParseDecimal(bad)
		require.Error(t, err, bad)
	}
}

func TestFitNeverRounds(t *testing.T) {
	typ := types.TDecimal(6, 2)
	for in, out := range map[string]string{"1": "1.00", "1.5": "1.50", "1.500": "1.50", "9999.99": "9999.99", "1E3": "1000.00"} {
		v, err := types.Fit(decimal(t, in), typ)
		require.NoError(t, err)
		require.Equal(t, out, types.FormatDecimal(v))
	}
	for in, msg := range map[string]string{
		"1.005":     "Cannot fit decimal '1.005' into DECIMAL(6, 2) without rounding. (Requires 4,3)",
		"10000.5":   "Cannot fit decimal '10000.5' into DECIMAL(6, 2) as it would truncate left digits to 4. (Requires 6,1)",
		"123456789": "Cannot fit decimal '123456789' into DECIMAL(6, 2) as it would truncate left digits to 4. (Requires 9,0)",
	} {
		_, err := types.Fit(decimal(t, in), typ)
		require.EqualError(t, err, msg)
	}
}

func TestCast(t *testing.T) {
	s, b, i, d := types.NewString, types.NewBigint, types.NewInt, types.NewDouble
	str, big, integer, dbl := types.TString, types.TBigint, types.TInteger, types.TDouble
	dec62 := types.TDecimal(6, 2)
	for _, c := range []struct {
		v        types.Value
		from, to types.Type
		want     string // text of the result; "error" when there is none
	}{
		{s(" 12 "), str, integer, "12"},
		{s("x1"), str, integer, "error"},
		{s("1.5"), str, integer, "error"},
		{s("3000000000"), str, integer, "error"},
		{s("-1.5e3"), str, dbl, "-1500.0"},
		{s("1.5f"), str, dbl, "error"},
		{s("0.995"), str, dec62, "1.00"},
		{s("12345.6"), str, dec62, "error"},
		{s("YES"), str, types.TBoolean, "true"},
		{s("tr"), str, types.TBoolean, "true"},
		{s(""), str, types.TBoolean, "false"},
		{s("truer"), str, types.TBoolean, "false"},
		{b(2147483648), big, integer, "-2147483648"},
		{d(1e10), dbl, integer, "2147483647"},
		{d(-2.75), dbl, integer, "-2"},
		{d(math.NaN()), dbl, big, "0"},
		{d(1.5), dbl, dec62, "1.50"},
		{d(-2.755), dbl, dec62, "-2.76"},
		{d(1e10), dbl, dec62, "error"},
		{i(10), integer, types.TDecimal(2, 1), "error"},
		{i(-1), integer, types.TDecimal(2, 1), "-1.0"},
		{types.NewDecimal(1001, 2), types.TDecimal(4, 2), integer, "10"},
		{types.NewDecimal(-1099, 2), types.TDecimal(4, 2), big, "-10"},
		{types.NewDecimal(2675, 3), types.TDecimal(4, 3), types.TDecimal(4, 2), "2.68"},
		{b(9007199254740993), big, dbl, "9.007199254740992E15"},
		{s("2022-04-28T21:44:47.943Z"), str, types.TTimestamp, "2022-04-28T21:44:47.943"},
		{s("2022-04-28T21:44:47.943+02:00"), str, types.TTimestamp, "2022-04-28T19:44:47.943"},
		{s("2022-04"), str, types.TTimestamp, "2022-04-01T00:00:00.000"},
		{s("2022-04-28T21"), str, types.TTimestamp, "2022-04-28T21:00:00.000"},
		{s("2022-02-30"), str, types.TDate, "error"},
		{s("1970-01"), str, types.TDate, "1970-01-01"},
		{s("1969-12-31"), str, types.TDate, "1969-12-31"},
		{s("00:00:00.010"), str, types.TTime, "00:00:00.010"},
		{s("00:01"), str, types.TTime, "00:01"},
		{s("24:00"), str, types.TTime, "error"},
		{types.NewTimestamp(-2000), types.TTimestamp, types.TTime, "23:59:58"},
		{types.NewTimestamp(-1), types.TTimestamp, types.TDate, "1969-12-31"},
		{types.NewDate(10), types.TDate, types.TTimestamp, "1970-01-11T00:00:00.000"},
		{s("aGk="), str, types.TBytes, "aGk="},
		{types.NewArray([]types.Value{b(1), {}}), types.TArray(big), types.TArray(str), "[1, null]"},
	} {
		v, err := types.Cast(c.v, c.from, c.to)
		if c.want == "error" {
			require.Error(t, err, "%v %s", c.v, c.to)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, types.Text(v, c.to), "%s to %s", c.from, c.to)
	}
	_, err := types.NewCaster(str, types.TArray(integer))
	require.EqualError(t, err, "Cast of STRING to ARRAY<INTEGER> is not supported")
	v, err := types.Cast(types.Value{}, str, integer)
	require.NoError(t, err)
	require.True(t, v.IsNull())

	row := types.TStruct(types.Field{Name: "F0", Type: big}, types.Field{Name: "F1", Type: str})
	v, err = types.Cast(types.NewStruct([]types.Value{b(1), s("3")}), row,
		types.TStruct(types.Field{Name: "F0", Type: str}, types.Field{Name: "F3", Type: str}))
	require.NoError(t, err)
	require.Equal(t, []types.Value{s("1"), {}}, v.Items())
	require.Equal(t, "Struct{F0=1}", types.Text(types.NewStruct([]types.Value{b(1), {}}), row))
	m := types.NewMap([]types.Entry{{Key: s("this"), Value: i(1)}})
	require.Equal(t, "{this=1}", types.Text(m, types.TMap(str, integer)))
}

func TestArith(t *testing.T) {
	dec42, integer := types.TDecimal(4, 2), types.TInteger
	for _, c := range []struct {
		op   types.Op
		a    types.Value
		ta   types.Type
		b    types.Value
		tb   types.Type
		typ  string
		want string
	}{
		{types.OpAdd, types.NewDecimal(1001, 2), dec42, types.NewDecimal(510, 2), dec42, "DECIMAL(5, 2)", "15.11"},
		{types.OpAdd, types.NewDecimal(1001, 2), dec42, types.NewInt(5), integer, "DECIMAL(13, 2)", "15.01"},
		{types.OpMul, types.NewDecimal(1010, 2), dec42, types.NewDecimal(-200, 2), dec42, "DECIMAL(9, 4)", "-20.2000"},
		{types.OpDiv, types.NewDecimal(1010, 2), dec42, types.NewDecimal(200, 2), dec42, "DECIMAL(11, 7)", "5.0500000"},
		{types.OpDiv, types.NewDecimal(70, 1), types.TDecimal(2, 1), types.NewInt(2), integer, "DECIMAL(13, 12)", "3.500000000000"},
		{types.OpDiv, types.NewDecimal(100, 2), dec42, types.NewInt(3), integer, "DECIMAL(15, 13)", "error"},
		{types.OpDiv, types.NewDecimal(100, 2), dec42, types.NewInt(0), integer, "DECIMAL(15, 13)", "error"},
		{types.OpMod, types.NewDecimal(1010, 2), dec42, types.NewDecimal(-200, 2), dec42, "DECIMAL(4, 2)", "0.10"},
		{types.OpSub, types.NewDecimal(1010, 2), dec42, types.NewDouble(0.1), types.TDouble, "DOUBLE", "10.0"},
		{types.OpMul, types.NewInt(math.MaxInt32), integer, types.NewInt(2), integer, "INTEGER", "-2"},
		{types.OpDiv, types.NewInt(-7), integer, types.NewInt(2), integer, "INTEGER", "-3"},
		{types.OpDiv, types.NewBigint(math.MinInt64), types.TBigint, types.NewInt(-1), integer, "BIGINT", "-9223372036854775808"},
		{types.OpMod, types.NewInt(7), integer, types.NewInt(0), integer, "INTEGER", "error"},
		{types.OpDiv, types.NewDouble(-1), types.TDouble, types.NewInt(0), integer, "DOUBLE", "-Infinity"},
		{types.OpAdd, types.NewBigint(math.MaxInt64), types.TBigint, types.NewDecimal(1, 0), types.TDecimal(1, 0), "DECIMAL(20, 0)", "9223372036854775808"},
	} {
		typ, err := types.ArithType(c.op, c.ta, c.tb)
		require.NoError(t, err)
		require.Equal(t, c.typ, typ.String())
		v, err := types.Arith(c.op, c.a, c.b, typ)
		if c.want == "error" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, types.Text(v, typ))
	}
}

func BenchmarkArith(b *testing.B) {
	x, y, t := types.NewDecimal(1001, 2), types.NewDecimal(510, 2), types.TDecimal(13, 2)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := types.Add(x, y, t); err != nil {
			b.Fatal(err)
		}
	}
}

// TestEndOfDay: 24:00 is the end of a day behind a date, and no time by itself.
func TestEndOfDay(t *testing.T) {
	end, err := types.ParseTimestamp("2020-02-24T24:00")
	require.NoError(t, err)
	next, err := types.ParseTimestamp("2020-02-25")
	require.NoError(t, err)
	require.Equal(t, next, end)
	for _, text := range []string{"2020-02-24T24:01", "2020-02-24T24:00:00.001", "2020-02-24T25"} {
		_, err := types.ParseTimestamp(text)
		require.Error(t, err, text)
	}
	_, err = types.ParseTime("24:00")
	require.Error(t, err)
}
