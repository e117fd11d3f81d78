package project_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/project"
)

func TestTheRepositorysOwn(t *testing.T) {
	p, err := project.Load("../../ksql", nil)
	require.NoError(t, err)
	require.NotNil(t, p.Manifest)
	byName := map[string]*project.Service{}
	for _, s := range p.Services {
		byName[s.Name] = s
		require.True(t, s.Asked)
		for _, st := range s.Statements {
			require.Nil(t, st.Mistake, "%s", st.Name)
			if st.Query() != nil {
				require.NotNil(t, st.Plan, "%s", st.Name)
				require.NotNil(t, st.Target, "%s", st.Name)
			}
		}
	}
	limit := byName["fraud"].Source("FRAUD_VALIDATIONS")
	require.Equal(t, "fraud-validations", limit.Target.Topic)
	require.Equal(t, []string{"FRAUD_TOTALS"}, limit.Reads)
	require.Equal(t, 4, limit.Partitions)

	// One service's folder: the others are read all the same.
	p, err = project.Load("../../ksql/fraud", nil)
	require.NoError(t, err)
	for _, s := range p.Services {
		require.Equal(t, s.Name == "fraud", s.Asked)
	}
}
