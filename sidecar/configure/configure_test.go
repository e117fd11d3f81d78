package configure

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFill(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(secret, []byte("a\"b\\c=d ${env:USER}\n"), 0o600))
	template := filepath.Join(dir, "t")
	require.NoError(t, os.WriteFile(template, []byte("listeners=http://${env:POD}:8088\nsasl.jaas.config=x password=${quoted:file:"+secret+"};\n"), 0o600))
	out := filepath.Join(dir, "out")
	require.NoError(t, File(template, out, func(name string) string { return map[string]string{"POD": "orders-0"}[name] }))
	got, err := os.ReadFile(out)
	require.NoError(t, err)
	// JAAS: "a\"b\\c=d …"; each backslash twice for the properties file. What is put
	// in isn't looked at again.
	require.Equal(t, "listeners=http://orders-0:8088\nsasl.jaas.config=x password=\"a\\\\\"b\\\\\\\\c=d ${env:USER}\";\n", string(got))
	info, err := os.Stat(out)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o440), info.Mode().Perm())
}

func TestMistakesDontTellTheSecret(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(secret, []byte("first\nsecond"), 0o600))
	_, err := Fill("a=${env:MISSING}\nb=${file:/no/such}\nc=${file:"+secret+"}", func(string) string { return "" })
	require.EqualError(t, err, "${env:MISSING}: is empty\n${file:/no/such}: open /no/such: no such file or directory\n${file:"+secret+"}: has more than one line")
}
