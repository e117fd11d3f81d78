package enginetest_test

import (
	"os"
	"testing"

	"github.com/sidestream/sidestream/sidecar/engine/enginetest"
	"github.com/sidestream/sidestream/sidecar/engine/plan"
)

func TestDebug(t *testing.T) {
	sql := os.Getenv("SQL")
	if sql == "" {
		t.Skip()
	}
	s := enginetest.NewSession(nil, nil)
	if err := s.Apply(sql); err != nil {
		t.Fatal(err)
	}
	for _, q := range s.Queries {
		t.Log("\n" + plan.Dump(q.Plan()) + "\n" + plan.Explain(q.Plan()))
	}
}
