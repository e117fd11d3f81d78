package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/project"
)

// TestFindings runs testdata: a project is put together of
//
//	topics               topics.yaml
//	services             services.yaml
//	sql service=NAME     another service's file
//	lint service=NAME    the service's file; what is found in it, and with the
//	                     argument allowed, what comments allow
//
// Each file begins with an empty project; lint leaves it as it was before.
func TestFindings(t *testing.T) {
	seen := map[string]bool{}
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		root := t.TempDir()
		write := func(text string, parts ...string) {
			file := filepath.Join(append([]string{root}, parts...)...)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, []byte(text+"\n"), 0o644))
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			service := "fraud"
			d.MaybeScanArgs(t, "service", &service)
			switch d.Cmd {
			case "topics":
				write(d.Input, "ksql", "topics.yaml")
			case "variables":
				write(d.Input, "ksql", "variables.yaml")
			case "services":
				write(d.Input, "services", "services.yaml")
			case "sql":
				write(d.Input, "ksql", service, "01-other.sql")
			case "lint":
				write(d.Input, "ksql", service, "02-it.sql")
				defer os.Remove(filepath.Join(root, "ksql", service, "02-it.sql"))
				p, err := project.Load(filepath.Join(root, "ksql", service), nil)
				var fault *project.Fault
				if errors.As(err, &fault) {
					return strings.ReplaceAll(fault.Text, root+"/", "")
				}
				require.NoError(t, err)
				r := Run(p)
				for _, f := range r.Findings {
					seen[f.Code] = true
				}
				out := Render(r.Findings)
				for _, a := range r.Allowed {
					if !d.HasArg("allowed") {
						break
					}
					out += fmt.Sprintf("allowed %s at %d:%d: %s\n", a.Code, a.Line, a.Column, a.Allowed)
				}
				if out == "" {
					return "clean\n"
				}
				return strings.ReplaceAll(out, root+"/ksql/"+service+"/", "")
			default:
				d.Fatalf(t, "unknown command %q", d.Cmd)
			}
			return ""
		})
	})
	for _, r := range Rules {
		require.True(t, seen[r.Code], "%s %s: no case in testdata finds it", r.Code, r.Name)
	}
}

func TestCatalogue(t *testing.T) {
	names := map[string]bool{}
	for i, r := range Rules {
		require.Equal(t, fmt.Sprintf("SL%03d", i), r.Code, "codes are permanent and in order")
		require.False(t, names[r.Name], r.Name)
		names[r.Name] = true
		require.Contains(t, []Severity{Error, Warning}, r.Severity)
		for what, text := range map[string]string{"title": r.Title, "why": r.Why, "instead": r.Instead, "bad": r.Bad, "good": r.Good} {
			require.NotEmpty(t, text, "%s has no %s", r.Code, what)
		}
		require.Equal(t, r.Code != "SL000" && r.Code != "SL020", checks[r.Code] != nil, r.Code)
		require.Contains(t, r.Explain(), r.Code+" "+r.Name)
		found, ok := Find(strings.ToLower(r.Code))
		require.True(t, ok)
		require.Equal(t, r, found)
	}
	require.Len(t, checks, len(Rules)-2)
}

func TestKsqlIsClean(t *testing.T) {
	p, err := project.Load("../../ksql", nil)
	require.NoError(t, err)
	r := Run(p)
	require.Empty(t, r.Findings, Render(r.Findings))
	require.Greater(t, r.Statements, 10)
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	require.Contains(t, string(raw), `"allowed":"`)
}
