package order

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMoney(t *testing.T) {
	for _, c := range []struct {
		in, out string
		err     error
	}{
		{"5", "5.00", nil}, {"5.5", "5.50", nil}, {"5.25", "5.25", nil}, {"-0.07", "-0.07", nil}, {"0", "0.00", nil},
		{"-0", "0.00", nil}, {"1e2", "100.00", nil}, {"125e-2", "1.25", nil}, {"1.2500", "1.25", nil}, {"0.001e3", "1.00", nil},
		{"9999999999.99", "9999999999.99", nil}, {"-9999999999.99", "-9999999999.99", nil},
		{"10000000000", "", ErrMoneyRange}, {"1e99999999999999999999", "", ErrMoneyRange}, {"1e400", "", ErrMoneyRange},
		{"0.001", "", ErrMoneyPrecision}, {"1e-99999999999999999999", "", ErrMoneyPrecision}, {"0e-99999999999999999999", "0.00", nil},
	} {
		m, err := ParseMoney(c.in)
		if c.err != nil {
			require.ErrorIs(t, err, c.err, c.in)
			continue
		}
		require.NoError(t, err, c.in)
		require.Equal(t, c.out, m.String(), c.in)
	}
	for _, bad := range []string{"", "-", "x", "1.", ".5", "1e", "1ex", "--1", "+1", "1 "} {
		_, err := ParseMoney(bad)
		require.Error(t, err, bad)
		require.False(t, errors.Is(err, ErrMoneyRange), bad)
	}
}

func TestRoundTrip(t *testing.T) {
	o := Order{ID: "a", CustomerID: 15, State: Failed, Product: `JUM"PERS`, Quantity: -1, Price: 500,
		Reasons: []string{"FRAUD_CHECK: total"}, Version: 2}
	b := o.Encode()
	require.JSONEq(t, `{"id":"a","customerId":15,"state":"FAILED","product":"JUM\"PERS","quantity":-1,"price":5.00,"reasons":["FRAUD_CHECK: total"],"version":2}`, string(b))
	require.Contains(t, string(b), `"price":5.00,`)
	got, err := Decode(b)
	require.NoError(t, err)
	require.Equal(t, o, got)
}

func TestDecodeOfSQL(t *testing.T) {
	got, err := Decode([]byte(`{"CUSTOMERID":15,"PRODUCT":"JUMPERS","QUANTITY":2,"PRICE":7.5,"STATE":"FAILED","REASONS":["a",null,"b"],"OTHER":{"x":[1]},"VERSION":null}`))
	require.NoError(t, err)
	require.Equal(t, Order{CustomerID: 15, Product: "JUMPERS", Quantity: 2, Price: 750, State: Failed, Reasons: []string{"a", "b"}}, got)
}

func TestDecodeNamesTheField(t *testing.T) {
	for in, want := range map[string]string{
		`{"quantity":1.5}`:        "quantity",
		`{"quantity":3000000000}`: "quantity",
		`{"price":"5"}`:           "price",
		`{"PRICE":0.001}`:         "PRICE",
		`{"id":7}`:                "id",
		`{"reasons":"x"}`:         "reasons",
		`[]`:                      "not a JSON object",
		`{"id":`:                  "not JSON",
		``:                        "not JSON",
	} {
		_, err := Decode([]byte(in))
		require.ErrorContains(t, err, want, in)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"a","price":5.00}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(o.Encode())
		if err != nil {
			t.Fatalf("%q became %q: %v", b, o.Encode(), err)
		}
		if !again.SameContent(&o) {
			t.Fatalf("%q: %v is not %v", b, again, o)
		}
	})
}

func TestValidation(t *testing.T) {
	v := Validation{OrderID: "a", CheckType: FraudCheck, Result: Fail, Reason: "total in the hour: 3750.00"}
	got, err := DecodeValidation(v.Encode())
	require.NoError(t, err)
	require.Equal(t, v, got)
	got, err = DecodeValidation([]byte(`{"CHECKTYPE":"FRAUD_CHECK","VALIDATIONRESULT":"PASS","REASON":null}`))
	require.NoError(t, err)
	require.Equal(t, Validation{CheckType: FraudCheck, Result: Pass}, got)
}
