package enginetest_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
)

// TestNoCaseInTheEngine: rules are built, not cases. No id, name, topic or long
// text of a case stands in the engine's code.
func TestNoCaseInTheEngine(t *testing.T) {
	cases, err := enginetest.LoadCases(sharedPath(t, "cases/cases-dev.jsonl.gz"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the query cases are not here: see CONTRIBUTING.md for where they come from")
	}
	require.NoError(t, err)
	var code strings.Builder
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "enginetest" || d.Name() == "functiontest") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		code.Write(text)
		return err
	})
	require.NoError(t, err)
	engine := code.String()
	found, looked := map[string]bool{}, map[string]bool{}
	look := func(text string) {
		if !looked[text] && strings.Contains(engine, text) {
			found[text] = true
		}
		looked[text] = true
	}
	for _, c := range cases {
		look(c.ID)
		if len(strings.Fields(c.Name)) > 4 {
			look(c.Name)
		}
		for _, r := range append(append([]enginetest.Record{}, c.Inputs...), c.Outputs...) {
			if strings.Contains(r.Topic, "_") {
				look(r.Topic)
			}
			for _, raw := range []json.RawMessage{r.Key, r.Value} {
				for _, text := range texts(raw) {
					if len(text) > 20 {
						look(text)
					}
				}
			}
		}
	}
	require.Empty(t, found)
}

// texts are the strings in a JSON value.
func texts(raw json.RawMessage) (out []string) {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(v)
	return out
}
