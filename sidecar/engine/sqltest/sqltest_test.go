package sqltest

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/broker"
	"github.com/sidestream/sidestream/sidecar/client"
	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/engine/rest"
)

// Each file of testdata holds tests and what comes of them: ok, or the failure as
// it is shown. Commands:
//
//	file NAME   writes a file that tests can run
//	test        runs the tests of the input
//	cover NAME  the statements of the file, and how often the tests of the input exercise them
func TestFiles(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		dir := t.TempDir()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return runData(t, d, dir, nil)
		})
	})
}

func runData(t *testing.T, d *datadriven.TestData, dir string, server *Server) string {
	if d.Cmd == "file" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, d.CmdArgs[0].Key), []byte(d.Input+"\n"), 0o644))
		return ""
	}
	file := filepath.Join(dir, "tests", "t.sql")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(d.Input+"\n"), 0o644))
	tests, err := Load(file)
	if err != nil {
		return strings.ReplaceAll(err.Error(), dir+"/", "") + "\n"
	}
	o := Options{Server: server, Variables: func(string) map[string]string { return map[string]string{"limit": "3"} }}
	if d.Cmd == "cover" {
		o.Cover = NewCover()
		raw, err := os.ReadFile(filepath.Join(dir, d.CmdArgs[0].Key))
		require.NoError(t, err)
		statements, err := parser.Parse(string(raw))
		require.NoError(t, err)
		o.Cover.Want(filepath.Join(dir, d.CmdArgs[0].Key), statements)
	}
	var b strings.Builder
	for _, test := range tests {
		r := Run(test, o)
		switch {
		case !r.Passed():
			fmt.Fprintf(&b, "FAIL %s\n%s", test.Name, r.Failure)
		case d.Cmd == "test":
			fmt.Fprintf(&b, "ok %s\n", test.Name)
		}
	}
	if o.Cover != nil {
		for _, l := range o.Cover.Lines() {
			fmt.Fprintf(&b, "%d: %s %s: run %d, exercised %d\n", l.Line, l.Kind, l.Name, l.Ran, l.Exercised)
		}
	}
	return strings.ReplaceAll(b.String(), dir+"/", "")
}

// The same tests on a server by its REST API: here the embedded one, or by
// KSQLDB_URL a real one.
func TestOnServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	url, brokers := os.Getenv("KSQLDB_URL"), strings.Split(os.Getenv("KSQLDB_KAFKA"), ",")
	if url == "" {
		url, brokers = embedded(t, ctx)
	}
	c, err := client.New(url)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	s, err := OpenServer(ctx, c, brokers)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	for _, name := range []string{"passing", "values"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			datadriven.RunTest(t, filepath.Join("testdata", name+".txt"), func(t *testing.T, d *datadriven.TestData) string {
				return runData(t, d, dir, s)
			})
		})
	}
	left, err := c.Exec(ctx, "SHOW STREAMS; SHOW TABLES; SHOW QUERIES;")
	require.NoError(t, err)
	for _, e := range left {
		for _, source := range append(e.Streams, e.Tables...) {
			require.Equal(t, "KSQL_PROCESSING_LOG", source.Name, "the tests leave nothing behind")
		}
		require.Empty(t, e.Queries)
	}
}

// embedded is an engine on a broker of its own, behind REST.
func embedded(t *testing.T, ctx context.Context) (url string, brokers []string) {
	quiet := slog.New(slog.DiscardHandler)
	b, err := broker.Open(ctx, broker.Config{Dir: t.TempDir(), Clean: -1, Log: quiet})
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	e, err := engine.New(ctx, engine.Config{Brokers: []string{b.Addr()}, ServiceID: "sqltest_", Logger: quiet})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	serve, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- rest.New(e, quiet).Serve(serve, ln) }()
	t.Cleanup(func() { stop(); <-served; e.Close() })
	return "http://" + ln.Addr().String(), []string{b.Addr()}
}

func TestJUnit(t *testing.T) {
	results := []Result{
		{Test: Test{Name: "one", File: "a.sql", Line: 1}, Elapsed: time.Millisecond},
		{Test: Test{Name: "two <&>", File: "a.sql", Line: 9}, Failure: "a.sql:12:3: N INTEGER: expected 1, got 2\n"},
		{Test: Test{Name: "three", File: "b.sql", Line: 1}},
	}
	var b bytes.Buffer
	require.NoError(t, JUnit(&b, results))
	var read struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Name     string `xml:"name,attr"`
			Failures int    `xml:"failures,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal(b.Bytes(), &read))
	require.Equal(t, 3, read.Tests)
	require.Equal(t, 1, read.Failures)
	require.Len(t, read.Suites, 2)
	require.Equal(t, "two <&>", read.Suites[0].Cases[1].Name)
	require.Equal(t, "a.sql:12:3: N INTEGER: expected 1, got 2", read.Suites[0].Cases[1].Failure.Message)
	require.Nil(t, read.Suites[1].Cases[0].Failure)
}

func TestJSONForm(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	f := JSONForm{
		Statements: file("s.sql", "CREATE STREAM a (id STRING KEY, n INT, price DECIMAL(6, 2)) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');\nCREATE STREAM b AS SELECT id, n + 1 AS m, price FROM a WHERE n > 1;\n"),
		Inputs:     file("i.json", `{"inputs": [{"topic": "a", "key": "x", "value": {"n": 1, "price": 1.50}}, {"topic": "a", "key": "y", "value": {"n": 2, "price": 2.50}, "timestamp": 7}]}`),
		Outputs:    file("o.json", `{"outputs": [{"topic": "B", "key": "y", "value": {"M": 3, "PRICE": 2.50}, "timestamp": 7}]}`),
	}
	failure, err := f.Run()
	require.NoError(t, err)
	require.Empty(t, failure)

	f.Outputs = file("o.json", `{"outputs": [{"topic": "B", "key": "y", "value": {"M": 4, "PRICE": 2.50}}]}`)
	failure, err = f.Run()
	require.NoError(t, err)
	require.Contains(t, failure, "M: expected 4")
	require.Contains(t, failure, "got 3")

	f.Statements = file("s.sql", "CREATE STREAM a (id STRING KEY, n INT) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');\nCREATE STREAM b AS SELECT id, m FROM a;\n")
	failure, err = f.Run()
	require.NoError(t, err)
	require.Contains(t, failure, "s.sql:2:31: ")
	require.Contains(t, failure, "    CREATE STREAM b AS SELECT id, m FROM a;\n                                  ^\n")

	f.Outputs = file("o.json", `{"outputs": []}`)
	_, err = f.Run()
	require.ErrorContains(t, err, `no records under "outputs"`)
}
