package broker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

func TestUsersFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "users.yaml")
	load := func(text string) ([]User, error) {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return LoadUsers(file)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pw"), []byte("from file\n"), 0o600))
	users, err := load("users:\n- {name: a, password: hush, mechanisms: [PLAIN]}\n- {name: b, passwordFile: pw, admin: true}\n")
	require.NoError(t, err)
	require.Equal(t, []User{{Name: "a", Password: "hush", Mechanisms: []string{"PLAIN"}}, {Name: "b", Password: "from file", Admin: true}}, users)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", users, users, users), "hush")
	for text, want := range map[string]string{
		"users: []":                                 "no users",
		"users: [{name: a, pasword: hush}]":         "not a list",
		"users: [{name: a}]":                        "give password or passwordFile",
		"users: [{name: a, passwordFile: nowhere}]": "no such file",
	} {
		_, err := load(text)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hush")
	}
}

func TestBadSecurity(t *testing.T) {
	for want, s := range map[string]Security{
		"access rules need users":       {ACLs: true},
		"user that is an administrator": {ACLs: true, Users: []User{{Name: "a", Password: "p"}}},
		"user a has no password":        {Users: []User{{Name: "a"}}},
		"user a is given twice":         {Users: []User{{Name: "a", Password: "p"}, {Name: "a", Password: "p"}}},
		`user a: mechanism "GSSAPI"`:    {Users: []User{{Name: "a", Password: "p", Mechanisms: []string{"GSSAPI"}}}},
		"a user has no name":            {Users: []User{{Password: "p"}}},
	} {
		_, err := Open(context.Background(), Config{Dir: t.TempDir(), Security: s})
		require.ErrorContains(t, err, want)
	}
}

// The users are those of the configuration, also after a restart on a directory
// that remembers others.
func TestAChangedPassword(t *testing.T) {
	dir := t.TempDir()
	for _, password := range []string{"old", "new"} {
		b, err := Open(bounded(t), Config{Dir: dir, Clean: -1, Security: Security{Users: []User{{Name: "a", Password: password}}}})
		require.NoError(t, err)
		for _, tried := range []string{"old", "new"} {
			cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()), kgo.RequestRetries(0), kgo.SASL(plain.Auth{User: "a", Pass: tried}.AsMechanism()))
			require.NoError(t, err)
			err = cl.Ping(bounded(t))
			require.Equal(t, tried == password, err == nil, "%s: %v", tried, err)
			cl.Close()
		}
		require.NoError(t, b.Close())
	}
}
