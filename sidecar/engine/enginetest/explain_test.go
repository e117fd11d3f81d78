package enginetest_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

// TestExplainedFlow compares the execution plans and topologies of the order
// flow's queries with those that a real ksqlDB explained.
func TestExplainedFlow(t *testing.T) {
	data, err := os.ReadFile(sharedPath(t, "golden/d01_kit_flow_eos.json"))
	if err != nil {
		t.Skip("the recorded exchanges are not here")
	}
	sql, err := os.ReadFile(sharedPath(t, "flow.sql"))
	require.NoError(t, err)
	s := enginetest.NewSession(nil, nil)
	require.NoError(t, s.Apply(string(sql)))
	number := regexp.MustCompile(`_\d+$`)
	mine := map[string]*plan.Query{}
	for _, q := range s.Queries {
		mine[number.ReplaceAllString(q.Plan().ID, "")] = q.Plan()
	}
	var recorded any
	require.NoError(t, json.Unmarshal(data, &recorded))
	compared := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if text, ok := v["executionPlan"].(string); ok {
				id := v["id"].(string)
				q := mine[number.ReplaceAllString(id, "")]
				require.NotNil(t, q, id)
				require.Equal(t, text, strings.ReplaceAll(plan.Explain(q), q.ID+".", id+"."), id)
				require.Equal(t, v["topology"], plan.Topology(q), id)
				compared++
				return
			}
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(recorded)
	require.GreaterOrEqual(t, compared, 10)
}
