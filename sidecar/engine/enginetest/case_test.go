package enginetest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
)

// sharedPath finds what lies beside the repository.
func sharedPath(t *testing.T, name string) string {
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "..", "shared", name)
		}
		up := filepath.Dir(dir)
		require.NotEqual(t, dir, up, "no go.mod above the test")
		dir = up
	}
}

// TestQueryCases runs ksqlDB's query cases on the driver; `make conformance` also
// runs those over the REST API. Those that passed once must pass.
func TestQueryCases(t *testing.T) {
	all, err := enginetest.LoadCases(sharedPath(t, "cases/cases-dev.jsonl.gz"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the query cases are not here: see CONTRIBUTING.md for where they come from")
	}
	require.NoError(t, err)
	var cases []*enginetest.Case
	for _, c := range all {
		if c.Suite == "qtt" {
			cases = append(cases, c)
		}
	}
	must, err := enginetest.LoadPassing("testdata/passing.txt")
	require.NoError(t, err)
	require.NotEmpty(t, must)
	report := (&enginetest.Suite{}).Run(t.Context(), cases)
	for i := range report.Results {
		if r := &report.Results[i]; r.State != enginetest.Passed && must[r.ID] {
			t.Errorf("a case that passed before fails: %s", r.Text())
		}
	}
}

// ownCases are cases in the format of ksqlDB's, of the order flow.
const ownCases = `{"id":"qtt/orders - doubled","suite":"qtt","file":"own/orders.json","name":"doubled","formats":["JSON"],"statements":["CREATE STREAM orders (id STRING KEY, quantity INT, price DECIMAL(6,2), note STRING) WITH (kafka_topic='orders', value_format='JSON');","CREATE STREAM doubled AS SELECT id, quantity * 2 AS twice, price, note FROM orders;"],"inputs":[{"topic":"orders","key":"o1","value":{"quantity":3,"price":"9.50","note":"ring twice"},"timestamp":5}],"outputs":[{"topic":"DOUBLED","key":"o1","value":{"TWICE":6,"PRICE":9.50,"note":"ring twice"},"timestamp":5}]}

{"id":"qtt/orders - wrong","suite":"qtt","file":"own/orders.json","name":"wrong","formats":["JSON"],"statements":["CREATE STREAM orders (id STRING KEY, quantity INT, price DECIMAL(6,2)) WITH (kafka_topic='orders', value_format='JSON');","CREATE STREAM doubled AS SELECT id, quantity * 2 AS twice, price FROM orders;"],"inputs":[{"topic":"orders","key":"o1","value":{"quantity":3,"price":"9.50"}},{"topic":"orders","key":"o2","value":{"quantity":4}}],"outputs":[{"topic":"DOUBLED","key":"o1","value":{"TWICE":"6","PRICE":9.5},"timestamp":7}]}
{"id":"qtt/orders - refused","suite":"qtt","file":"own/orders.json","name":"refused","formats":["JSON"],"statements":["CREATE STREAM orders (id STRING KEY, quantity INT) WITH (kafka_topic='orders', value_format='JSON');","CREATE STREAM s AS SELECT id, quantty FROM orders;"],"expectedException":{"type":"KsqlStatementException","message":"QUANTTY"}}
{"id":"qtt/orders - left out","suite":"qtt","file":"own/orders.json","name":"left out","formats":["JSON"],"statements":["CREATE STREAM o (id STRING KEY) WITH (kafka_topic='o', value_format='JSON');"]}
{"id":"rqtt/orders - asked","suite":"rqtt","file":"own/rest.json","name":"asked","formats":["JSON"],"statements":["CREATE TABLE orders (id STRING PRIMARY KEY, quantity INT) WITH (kafka_topic='orders', value_format='JSON', partitions=1);","CREATE TABLE stock AS SELECT id, COUNT(*) AS n FROM orders GROUP BY id;","SELECT * FROM stock WHERE id = 'o1';","SELECT * FROM orders EMIT CHANGES LIMIT 1;"],"inputs":[{"topic":"orders","key":"o1","value":{"quantity":3}}],"responses":[{"admin":{"@type":"currentStatus"}},{"admin":{"@type":"currentStatus"}},{"query":[{"header":{"schema":"` + "`ID` STRING KEY, `N` BIGINT" + `"}},{"row":{"columns":["o1",1]}}]},{"query":[{"header":{"queryId|starts_with":"transient_"}},{"row":{"columns":["o1",3]}},{"finalMessage":"Limit Reached"}]}]}
{"id":"rqtt/orders - asked wrongly","suite":"rqtt","file":"own/rest.json","name":"asked wrongly","formats":["JSON"],"statements":["CREATE TABLE orders (id STRING PRIMARY KEY) WITH (kafka_topic='orders', value_format='JSON');","SELECT * FROM orders;"],"expectedError":{"type":"KsqlStatementErrorMessage","message":"table isn't queryable","status":404}}
`

// TestSuite runs cases of the project's own and reads the report: which pass, and
// of the others what differs, with types.
func TestSuite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cases.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(ownCases), 0o600))
	cases, err := enginetest.LoadCases(path)
	require.NoError(t, err)
	require.Len(t, cases, 6)
	skips := filepath.Join(dir, "skips.yaml")
	require.NoError(t, os.WriteFile(skips, []byte("- cases: left out\n  reason: to show how\n"), 0o600))
	suite := &enginetest.Suite{}
	suite.Skips, err = enginetest.LoadSkips(skips)
	require.NoError(t, err)
	done := 0
	suite.Done = func(*enginetest.Result) { done++ }
	report := suite.Run(t.Context(), cases)
	require.Equal(t, 6, done)

	var lines []string
	for i := range report.Results {
		r := &report.Results[i]
		text := r.State + " " + r.ID
		if r.State != enginetest.Passed {
			text = r.State + " " + r.Text()
		}
		lines = append(lines, text)
	}
	require.Equal(t, `passed qtt/orders - doubled
failed qtt/orders - wrong
    DOUBLED[0].value.PRICE: expected 9.5 (decimal), got 9.50 (decimal of scale 2)
    DOUBLED[0].value.TWICE: expected "6" (text), got 6 (whole number)
    DOUBLED[0].timestamp: expected 7, got 0
    DOUBLED: expected 1 records, got 2 records
    DOUBLED[1]: expected no record, got "o2" → {"PRICE":null,"TWICE":8} at 0, window none
passed qtt/orders - refused
skipped qtt/orders - left out
    to show how
passed rqtt/orders - asked
failed rqtt/orders - asked wrongly
    error.status: expected 404, got 400`, strings.Join(lines, "\n"))
	require.Equal(t, []enginetest.FileCount{{File: "orders", Passed: 2, Failed: 1, Skipped: 1}, {File: "rest/rest", Passed: 1, Failed: 1}}, report.Files)

	passing := filepath.Join(dir, "passing.txt")
	require.NoError(t, os.WriteFile(passing, report.Passing(), 0o600))
	must, err := enginetest.LoadPassing(passing)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"qtt/orders - doubled": true, "qtt/orders - refused": true, "rqtt/orders - asked": true}, must)

	page := string(enginetest.Compatibility(report, &enginetest.Recordings{Statements: map[string]int{"PRINT": 3},
		Exceptions: []enginetest.RecordingException{{Scenario: "x1", Exchange: 4, Request: "SHOW TOPICS", Reason: "there are none"}}}))
	for _, line := range []string{
		"Of 6 cases 3 pass, 2 fail and 1 are left out.",
		"- case *qtt/orders - left out*: to show how",
		"- recorded exchange x1/4, `SHOW TOPICS`: there are none",
		"| CREATE STREAM … AS SELECT | 2 of 3 | – |",
		"| SELECT (pull query) | 1 of 2 | – |",
		"| PRINT | – | 3 |",
		"| COUNT | 1 of 1 |",
		"| DECIMAL | 1 of 2 |",
		"| JSON | 3 of 6 |",
		"| rest/rest | 1 of 2 |",
	} {
		require.Contains(t, page, line+"\n")
	}
}

// TestBadFiles: what isn't a file of cases is told with its place.
func TestBadFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cases.jsonl")
	require.NoError(t, os.WriteFile(path, []byte(`{"id":"x"}`+"\n"+`{"id":`), 0o600))
	_, err := enginetest.LoadCases(path)
	require.ErrorContains(t, err, fmt.Sprintf("%s:2: not a case", path))
	require.NoError(t, os.WriteFile(path, []byte("- cases: x\n"), 0o600))
	_, err = enginetest.LoadSkips(path)
	require.ErrorContains(t, err, "has no reason")
	_, err = enginetest.LoadCases(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}
