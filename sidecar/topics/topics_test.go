package topics

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "topics.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func TestCheckedInTopics(t *testing.T) {
	topics, err := Load("../../ksql/topics.yaml")
	require.NoError(t, err)
	byName := map[string]Topic{}
	for _, topic := range topics {
		byName[topic.Name] = topic
		require.NotEmpty(t, topic.Key, topic.Name)
		require.NotEmpty(t, topic.Value, topic.Name)
	}
	require.Equal(t, "orders", topics[0].Name)
	require.Equal(t, map[string]string{"cleanup.policy": "compact", "retention.ms": "-1"}, byName["orders"].Config())
	require.Equal(t, map[string]string{"cleanup.policy": "compact,delete", "retention.ms": "604800000"}, byName["fraud-window"].Config())
}

func TestTopicMistakes(t *testing.T) {
	path := write(t, `
topics:
  "bad name!": {owner: a}
  nobody: {cleanup: keep, retention: long}
  spelled: {owner: a, retenton: 7d}
  none: {owner: a, partitions: -1}
`)
	_, err := Load(path)
	require.EqualError(t, err, path+`:3: topic bad name!: a name has letters, digits, '.', '_' and '-', at most 249
`+path+`:4: topic nobody: has no owner: name the one service that may write it
`+path+`:4: topic nobody: cleanup "keep": give delete, compact or compact,delete
`+path+`:4: topic nobody: retention "long": give days (7d), hours (12h) or forever
`+path+`:5: topic spelled: yaml: unmarshal errors:
  line 1: field retenton not found in type topics.topicNode
`+path+`:6: topic none: -1 partitions: give 1 or more`)
}
