package layout

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTidy(t *testing.T) {
	for in, want := range map[string]string{
		"select a from b where c = 'x from  ';":                       "SELECT a FROM b WHERE c = 'x from  ';\n",
		"\n\nSELECT 1;  \n\n\n\tSELECT 2;\t\n\n":                      "SELECT 1;\n\n  SELECT 2;\n",
		"-- select from  \nSELECT `from`, t.from, \"as\" from x;\r\n": "-- select from\nSELECT `from`, t.from, \"as\" FROM x;\n",
		"/* select\n\n\n */ select ${from};":                          "/* select\n\n\n */ SELECT ${from};\n",
		"":                                                            "",
		" \n ":                                                        "",
		"'it":                                                         "'it\n",
	} {
		got := Tidy(in)
		require.Equal(t, want, got, "%q", in)
		require.Equal(t, got, Tidy(got), "tidy again: %q", in)
	}
}
