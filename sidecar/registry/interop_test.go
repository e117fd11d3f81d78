package registry_test

import (
	"net/http/httptest"
	"testing"

	"github.com/confluentinc/confluent-kafka-go/v2/schemaregistry"
	"github.com/stretchr/testify/require"

	"github.com/sidestream/sidestream/sidecar/registry"
)

// TestConfluentsClient lets Confluent's own client use the registry.
func TestConfluentsClient(t *testing.T) {
	server := httptest.NewServer(registry.New().Handler(nil))
	defer server.Close()
	c, err := schemaregistry.NewClient(schemaregistry.NewConfig(server.URL))
	require.NoError(t, err)
	one := schemaregistry.SchemaInfo{Schema: `{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}`}
	two := schemaregistry.SchemaInfo{Schema: `{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"int","default":0}]}`}
	bad := schemaregistry.SchemaInfo{Schema: `{"type":"record","name":"R","fields":[{"name":"c","type":"int"}]}`}
	id, err := c.Register("s-value", one, false)
	require.NoError(t, err)
	_, err = c.Register("s-value", two, true)
	require.NoError(t, err)
	_, err = c.Register("s-value", bad, false)
	require.ErrorContains(t, err, "READER_FIELD_MISSING_DEFAULT_VALUE")

	got, err := c.GetBySubjectAndID("s-value", id)
	require.NoError(t, err)
	require.Equal(t, one.Schema, got.Schema)
	last, err := c.GetLatestSchemaMetadata("s-value")
	require.NoError(t, err)
	require.Equal(t, []any{2, two.Schema}, []any{last.Version, last.Schema})
	versions, err := c.GetAllVersions("s-value")
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, versions)
	version, err := c.GetVersion("s-value", two, false)
	require.NoError(t, err)
	require.Equal(t, 2, version)
	places, err := c.GetSubjectsAndVersionsByID(id)
	require.NoError(t, err)
	require.Len(t, places, 1)

	level, err := c.GetDefaultCompatibility()
	require.NoError(t, err)
	require.EqualValues(t, schemaregistry.Backward, level)
	compatible, err := c.TestSubjectCompatibility("s-value", bad)
	require.NoError(t, err)
	require.False(t, compatible)
	_, err = c.UpdateCompatibility("s-value", schemaregistry.None)
	require.NoError(t, err)
	compatible, err = c.TestCompatibility("s-value", 1, bad)
	require.NoError(t, err)
	require.True(t, compatible)

	_, err = c.DeleteSubjectVersion("s-value", 1, false)
	require.NoError(t, err)
	deleted, err := c.DeleteSubject("s-value", false)
	require.NoError(t, err)
	require.Equal(t, []int{2}, deleted)
	subjects, err := c.GetAllSubjects()
	require.NoError(t, err)
	require.Empty(t, subjects)
}
