package feed

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func readAll(t *testing.T, kind Kind, text string) (rows []string, lines []int, bad []string) {
	t.Helper()
	err := Read(strings.NewReader(text), kind, func(r Row) error {
		rows, lines = append(rows, string(r.JSON(kind))), append(lines, r.Line)
		return nil
	}, func(e RowError) { bad = append(bad, e.Error()) })
	require.NoError(t, err)
	return rows, lines, bad
}

func TestCSV(t *testing.T) {
	rows, lines, bad := readAll(t, Orders, "\xef\xbb\xbfcustomerid,PRODUCT,quantity,price,id\n"+
		"15,\"JUMPERS,\nred\",3,5.00,a\n"+
		"x,UNDERPANTS,1,1.00,\n"+
		"15,,1,1.00,b\n"+
		"15,A,1\n"+
		"15,B,-1,100,007\n")
	require.Equal(t, []string{
		`{"id":"a","customerId":15,"product":"JUMPERS,\nred","quantity":3,"price":5.00}`,
		`{"id":"007","customerId":15,"product":"B","quantity":-1,"price":100}`,
	}, rows)
	require.Equal(t, []int{2, 7}, lines)
	require.Equal(t, []string{
		`line 4: customerId: "x" is no number of this field`,
		"line 5: product is missing",
		"line 6: wrong number of fields",
	}, bad)
}

func TestJSONLines(t *testing.T) {
	rows, lines, bad := readAll(t, Stock, `{"PRODUCT": "JUMPERS", "stock": 10}

{"product": "A", "stock": 1.5}
{"product": "B", "stok": 1}
{"product": 3, "stock": 1}
not json
{"product": "C", "stock": 0}`)
	require.Equal(t, []string{`{"product":"JUMPERS","stock":10}`, `{"product":"C","stock":0}`}, rows)
	require.Equal(t, []int{1, 7}, lines)
	require.Equal(t, []string{
		"line 3: stock: 1.5 is no number of this field",
		`line 4: no field "stok"; there are product, stock`,
		"line 5: product: 3 is no text",
		"line 6: no JSON object: invalid character 'o' in literal null (expecting 'u')",
	}, bad)
}

func TestFilesThatAreNone(t *testing.T) {
	none := func(Row) error { return nil }
	bad := func(RowError) {}
	require.EqualError(t, Read(strings.NewReader(" \n"), Stock, none, bad), "the file is empty")
	require.EqualError(t, Read(strings.NewReader("product,price\n"), Stock, none, bad),
		`the header line: no column "price"; there are product, stock`)
}

func TestProblemNamesTheFields(t *testing.T) {
	err := problem(422, []byte(`{"title":"Unprocessable","detail":"2 fields are wrong","errors":[{"pointer":"#/price","detail":"must be a number"}]}`))
	require.EqualError(t, err, "refused with 422: 2 fields are wrong; price: must be a number")
	require.EqualError(t, problem(502, []byte("bad gateway\n")), "refused with 502: bad gateway")
	require.True(t, IsRefused(err))
}
