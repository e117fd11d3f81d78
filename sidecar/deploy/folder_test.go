package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckedInFolders(t *testing.T) {
	for service, want := range map[string][]string{
		"fraud":     {"ORDERS", "FRAUD_WINDOW", "FRAUD_TOTALS", "FRAUD_VALIDATIONS"},
		"inventory": {"ORDERS", "ORDERS_BY_PRODUCT"},
	} {
		dir := filepath.Join("../../ksql", service)
		vars, err := Variables(dir, nil)
		require.NoError(t, err)
		f, err := LoadFolder(dir, vars)
		require.NoError(t, err)
		require.Equal(t, service, f.Service)
		var names []string
		for _, s := range f.Statements {
			names = append(names, s.Name)
			require.NotContains(t, s.SQL(), "${")
		}
		require.Equal(t, want, names)
	}
}

func TestDefinesGoBeforeVariables(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "variables.yaml", "a: {x: 1, y: 2}\nb: {x: 3}\n")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "a"), 0o755))
	vars, err := Variables(filepath.Join(dir, "a"), map[string]string{"y": "7"})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"x": "1", "y": "7"}, vars)
}

func TestEveryMistakeOfAFolder(t *testing.T) {
	dir := t.TempDir()
	one := write(t, dir, "01-a.sql", "CREATE STREAM a (id STRING KEY) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');\nCREATE STREAM b AS SELECT * FORM a;\n")
	two := write(t, dir, "02-b.sql", "DROP STREAM a;\n")
	three := write(t, dir, "limit.sql", "")
	_, err := LoadFolder(dir, nil)
	var fault *Fault
	require.ErrorAs(t, err, &fault)
	require.Contains(t, fault.Text, one+":2:29: ")
	require.Contains(t, fault.Text, "    CREATE STREAM b AS SELECT * FORM a;\n                                ^\n")
	require.Contains(t, fault.Text, two+":1:1: A service's folder can't hold this statement.\n    DROP STREAM a;\n    ^\n")
	require.Contains(t, fault.Text, three+": the name must begin with a number")
}

func TestOneNameTwice(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "01-a.sql", "CREATE STREAM a (id STRING KEY) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');")
	write(t, dir, "02-b.sql", "CREATE TABLE A (id STRING PRIMARY KEY) WITH (KAFKA_TOPIC='b', VALUE_FORMAT='JSON');")
	_, err := LoadFolder(dir, nil)
	require.ErrorContains(t, err, "02-b.sql:1:1: A is made at "+filepath.Join(dir, "01-a.sql")+":1:1 already.")
}

func TestPropertiesHoldFromTheirSet(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "01-a.sql", "CREATE STREAM a (id STRING KEY) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');\nSET 'auto.offset.reset'='latest';")
	write(t, dir, "02-b.sql", "CREATE STREAM b AS SELECT * FROM a;\nUNSET 'auto.offset.reset';\nINSERT INTO b SELECT * FROM a;")
	f, err := LoadFolder(dir, nil)
	require.NoError(t, err)
	require.Empty(t, f.Statements[0].Properties)
	require.Equal(t, map[string]string{"auto.offset.reset": "latest"}, f.Statements[1].Properties)
	require.Empty(t, f.Statements[2].Properties)
	require.Equal(t, []string{"A"}, f.Statements[2].Reads)
}

func TestNormal(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT  a -- why\n FROM b ;":        "SELECT a FROM b",
		"SELECT /* x\n*/ 'a  -- b' FROM `c`": "SELECT 'a  -- b' FROM `c`",
		"SELECT 'it''s' ;;":                  "SELECT 'it''s'",
		"a--":                                "a",
	} {
		require.Equal(t, want, normal(in), in)
	}
}

// What else is checked in tells who must be told of a new topic.
func TestWhoMustBeTold(t *testing.T) {
	root := t.TempDir()
	const source = "CREATE STREAM s (id STRING KEY, n INT) WITH (KAFKA_TOPIC='%s', VALUE_FORMAT='JSON');\n"
	write(t, root, "services/services.yaml", "broker: 127.0.0.1:9092\ntopics: ksql/topics.yaml\nservices:\n"+
		"  one: {sql: ksql/one, sidecar: 127.0.0.1:8088, program: ./services/one, http: 127.0.0.1:8080, reads: [t-out], views: [V]}\n"+
		"  two: {sql: ksql/two, sidecar: 127.0.0.1:8089}\n")
	write(t, root, "ksql/one/01-a.sql", strings.Replace(source, "%s", "t-in", 1))
	write(t, root, "ksql/two/01-a.sql", strings.Replace(source, "%s", "t-out", 1))
	f, err := LoadFolder(filepath.Join(root, "ksql", "one"), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"program one reads topic t-out", "program one queries V", "S of service two reads topic t-out"}, f.tell("t-out", "V"))
	require.Empty(t, f.tell("t-in", "OTHER"))
}

func TestAllowances(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "01-a.sql", "--@rebuild: allow  it may take an hour\nCREATE STREAM a (id STRING KEY) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON');\n"+
		"CREATE STREAM b AS SELECT * FROM a; -- of b\n-- why\n  --@rebuild: onward\n/* and */ CREATE STREAM c AS SELECT * FROM a;\n")
	f, err := LoadFolder(dir, nil)
	require.NoError(t, err)
	require.Equal(t, []Allowance{AllowRebuild, NoRebuild, Onward}, []Allowance{f.Statements[0].Rebuild, f.Statements[1].Rebuild, f.Statements[2].Rebuild})
	write(t, dir, "02-b.sql", "--@rebuild: perhaps\nCREATE STREAM d AS SELECT * FROM a;\n")
	_, err = LoadFolder(dir, nil)
	require.ErrorContains(t, err, "02-b.sql:2:1: --@rebuild: perhaps is unknown")
}
