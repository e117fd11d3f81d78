package engine

import (
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine/schema"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// Entity is the answer to a statement. Its fields are in the order in which
// ksqlDB writes them.
type Entity any

// Warning goes with an answer.
type Warning struct {
	Message string `json:"message"`
}

func warnings(texts []string) []Warning {
	out := make([]Warning, len(texts))
	for i, t := range texts {
		out[i] = Warning{t}
	}
	return out
}

// CommandStatus is how far a statement has come.
type CommandStatus struct {
	Status  string  `json:"status"`
	Message string  `json:"message"`
	QueryID *string `json:"queryId"`
}

// StatusEntity answers statements that change something.
type StatusEntity struct {
	Type          string        `json:"@type"` // currentStatus
	StatementText string        `json:"statementText"`
	CommandID     string        `json:"commandId"`
	Status        CommandStatus `json:"commandStatus"`
	Sequence      int64         `json:"commandSequenceNumber"`
	Warnings      []Warning     `json:"warnings"`
}

// WarningEntity answers a CREATE … IF NOT EXISTS of something that exists.
type WarningEntity struct {
	Type          string    `json:"@type"` // warning_entity
	StatementText string    `json:"statementText"`
	Message       string    `json:"message"`
	Warnings      []Warning `json:"warnings"`
}

// SchemaInfo is a type as JSON.
type SchemaInfo struct {
	Type       string         `json:"type"`
	Fields     []FieldInfo    `json:"fields"`
	Member     *SchemaInfo    `json:"memberSchema"`
	Parameters *DecimalParams `json:"parameters,omitempty"`
}

// DecimalParams are a DECIMAL's.
type DecimalParams struct {
	Precision int `json:"precision"`
	Scale     int `json:"scale"`
}

// FieldInfo is a column or a field of a STRUCT.
type FieldInfo struct {
	Name      string     `json:"name"`
	Schema    SchemaInfo `json:"schema"`
	Type      string     `json:"type,omitempty"` // KEY or HEADER
	HeaderKey *string    `json:"headerKey,omitempty"`
}

func schemaInfo(t types.Type) SchemaInfo {
	out := SchemaInfo{Type: t.Kind.String()}
	switch t.Kind {
	case types.Array, types.Map:
		m := schemaInfo(*t.Elem)
		out.Member = &m
	case types.Struct:
		out.Fields = make([]FieldInfo, len(t.Fields))
		for i, f := range t.Fields {
			out.Fields[i] = FieldInfo{Name: f.Name, Schema: schemaInfo(f.Type)}
		}
	case types.Decimal:
		out.Parameters = &DecimalParams{t.Precision, t.Scale}
	}
	return out
}

// Fields are columns as DESCRIBE and the websocket show them; isKey tells the
// key columns by place.
func Fields(cols []schema.Column, isKey func(i int) bool) []FieldInfo {
	out := make([]FieldInfo, len(cols))
	for i, c := range cols {
		out[i] = FieldInfo{Name: c.Name, Schema: schemaInfo(c.Type)}
		switch {
		case isKey(i):
			out[i].Type = "KEY"
		case c.Headers:
			out[i].Type, out[i].HeaderKey = "HEADER", c.HeaderKey
		}
	}
	return out
}

func schemaFields(s *schema.Schema) []FieldInfo {
	cols := append(append([]schema.Column{}, s.Key...), s.Value...)
	return Fields(cols, func(i int) bool { return i < len(s.Key) })
}

// SourceInfo is a line of SHOW STREAMS or TABLES.
type SourceInfo struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Topic       string `json:"topic"`
	KeyFormat   string `json:"keyFormat"`
	ValueFormat string `json:"valueFormat"`
	Windowed    bool   `json:"isWindowed"`
}

// StreamsEntity answers SHOW STREAMS.
type StreamsEntity struct {
	Type          string       `json:"@type"` // streams
	StatementText string       `json:"statementText"`
	Streams       []SourceInfo `json:"streams"`
	Warnings      []Warning    `json:"warnings"`
}

// TablesEntity answers SHOW TABLES.
type TablesEntity struct {
	Type          string       `json:"@type"` // tables
	StatementText string       `json:"statementText"`
	Tables        []SourceInfo `json:"tables"`
	Warnings      []Warning    `json:"warnings"`
}

// QueryInfo is a line of SHOW QUERIES.
type QueryInfo struct {
	QueryString string         `json:"queryString"`
	Sinks       []string       `json:"sinks"`
	SinkTopics  []string       `json:"sinkKafkaTopics"`
	ID          string         `json:"id"`
	StatusCount map[string]int `json:"statusCount"`
	QueryType   string         `json:"queryType"`
	State       string         `json:"state"`
}

// QueriesEntity answers SHOW QUERIES.
type QueriesEntity struct {
	Type          string      `json:"@type"` // queries
	StatementText string      `json:"statementText"`
	Queries       []QueryInfo `json:"queries"`
	Warnings      []Warning   `json:"warnings"`
}

// TopicInfo is a line of SHOW TOPICS; the counts are set by EXTENDED.
type TopicInfo struct {
	Name       string `json:"name"`
	Replicas   []int  `json:"replicaInfo"`
	Consumers  *int   `json:"consumerCount,omitempty"`
	GroupCount *int   `json:"consumerGroupCount,omitempty"`
}

// TopicsEntity answers SHOW TOPICS.
type TopicsEntity struct {
	Type          string      `json:"@type"` // kafka_topics or kafka_topics_extended
	StatementText string      `json:"statementText"`
	Topics        []TopicInfo `json:"topics"`
	Warnings      []Warning   `json:"warnings"`
}

// FunctionName is a line of SHOW FUNCTIONS.
type FunctionName struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Category string `json:"category"`
}

// FunctionsEntity answers SHOW FUNCTIONS.
type FunctionsEntity struct {
	Type          string         `json:"@type"` // function_names
	StatementText string         `json:"statementText"`
	Functions     []FunctionName `json:"functions"`
	Warnings      []Warning      `json:"warnings"`
}

// FunctionArgument is a parameter in DESCRIBE FUNCTION.
type FunctionArgument struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description"`
	Variadic    bool   `json:"isVariadic"`
}

// FunctionInfo is an overload in DESCRIBE FUNCTION.
type FunctionInfo struct {
	Arguments     []FunctionArgument `json:"arguments"`
	ReturnType    string             `json:"returnType"`
	Description   string             `json:"description"`
	ArgumentTypes []string           `json:"argumentTypes"`
}

// FunctionEntity answers DESCRIBE FUNCTION.
type FunctionEntity struct {
	Type          string         `json:"@type"` // describe_function
	StatementText string         `json:"statementText"`
	Name          string         `json:"name"`
	Description   string         `json:"description"`
	Author        string         `json:"author"`
	Version       string         `json:"version"`
	Path          string         `json:"path"`
	Functions     []FunctionInfo `json:"functions"`
	Kind          string         `json:"type"`
	Warnings      []Warning      `json:"warnings"`
}

// PropertyInfo is a line of SHOW PROPERTIES.
type PropertyInfo struct {
	Name     string `json:"name"`
	Scope    string `json:"scope"`
	Value    string `json:"value"`
	Editable bool   `json:"editable"`
	Level    string `json:"level"`
}

// PropertiesEntity answers SHOW PROPERTIES.
type PropertiesEntity struct {
	Type          string         `json:"@type"` // properties
	StatementText string         `json:"statementText"`
	Properties    []PropertyInfo `json:"properties"`
	Overwritten   []string       `json:"overwrittenProperties"`
	DefaultValues []string       `json:"defaultProperties"`
	Warnings      []Warning      `json:"warnings"`
}

// TypesEntity answers SHOW TYPES.
type TypesEntity struct {
	Type          string                `json:"@type"` // type_list
	StatementText string                `json:"statementText"`
	Types         map[string]SchemaInfo `json:"types"`
	Warnings      []Warning             `json:"warnings"`
}

// VariableInfo is a line of SHOW VARIABLES.
type VariableInfo struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// VariablesEntity answers SHOW VARIABLES.
type VariablesEntity struct {
	Type          string         `json:"@type"` // variables
	StatementText string         `json:"statementText"`
	Variables     []VariableInfo `json:"variables"`
	Warnings      []Warning      `json:"warnings"`
}

// Statistic is one number of a source.
type Statistic struct {
	Name      string  `json:"name"`
	Host      string  `json:"host"`
	Value     float64 `json:"value"`
	Timestamp int64   `json:"timestamp"`
}

// SourceDescription is what DESCRIBE says of a source.
type SourceDescription struct {
	Name              string          `json:"name"`
	WindowType        *string         `json:"windowType"`
	ReadQueries       []QueryInfo     `json:"readQueries"`
	WriteQueries      []QueryInfo     `json:"writeQueries"`
	Fields            []FieldInfo     `json:"fields"`
	Type              string          `json:"type"`
	Timestamp         string          `json:"timestamp"`
	Statistics        string          `json:"statistics"`
	ErrorStats        string          `json:"errorStats"`
	Extended          bool            `json:"extended"`
	KeyFormat         string          `json:"keyFormat"`
	ValueFormat       string          `json:"valueFormat"`
	Topic             string          `json:"topic"`
	Partitions        int             `json:"partitions"`
	Replication       int             `json:"replication"`
	Statement         string          `json:"statement"`
	Offsets           []OffsetSummary `json:"queryOffsetSummaries"`
	SourceConstraints []string        `json:"sourceConstraints"`
	ClusterStatistics []Statistic     `json:"clusterStatistics"`
	ClusterErrorStats []Statistic     `json:"clusterErrorStats"`
}

// OffsetSummary is how far a query's group has come.
type OffsetSummary struct {
	GroupID string         `json:"groupId"`
	Topics  []TopicOffsets `json:"topicSummaries"`
}

// TopicOffsets is the part of one topic in an OffsetSummary.
type TopicOffsets struct {
	Topic   string             `json:"kafkaTopic"`
	Offsets []PartitionOffsets `json:"offsets"`
}

// PartitionOffsets is the part of one partition in an OffsetSummary.
type PartitionOffsets struct {
	Partition int32 `json:"partition"`
	Start     int64 `json:"logStartOffset"`
	End       int64 `json:"logEndOffset"`
	Consumer  int64 `json:"consumerOffset"`
}

// DescriptionEntity answers DESCRIBE of one source.
type DescriptionEntity struct {
	Type          string            `json:"@type"` // sourceDescription
	StatementText string            `json:"statementText"`
	Description   SourceDescription `json:"sourceDescription"`
	Warnings      []Warning         `json:"warnings"`
}

// DescriptionsEntity answers DESCRIBE STREAMS and the like.
type DescriptionsEntity struct {
	Type          string              `json:"@type"` // source_descriptions
	StatementText string              `json:"statementText"`
	Descriptions  []SourceDescription `json:"sourceDescriptions"`
	Warnings      []Warning           `json:"warnings"`
}

// QueryDescription is what EXPLAIN says of a query.
type QueryDescription struct {
	ID            string            `json:"id"`
	StatementText string            `json:"statementText"`
	WindowType    *string           `json:"windowType"`
	Fields        []FieldInfo       `json:"fields"`
	Sources       []string          `json:"sources"`
	Sinks         []string          `json:"sinks"`
	Topology      string            `json:"topology"`
	ExecutionPlan string            `json:"executionPlan"`
	Overridden    map[string]any    `json:"overriddenProperties"`
	HostStatus    map[string]string `json:"ksqlHostQueryStatus"`
	QueryType     string            `json:"queryType"`
	Errors        []QueryError      `json:"queryErrors"`
	Tasks         []TaskMetadata    `json:"tasksMetadata"`
	GroupID       *string           `json:"consumerGroupId"`
	State         *string           `json:"state"`
}

// QueryError is why a query's last life ended.
type QueryError struct {
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"errorMessage"`
	Type      string `json:"type"`
}

// ExplainEntity answers EXPLAIN.
type ExplainEntity struct {
	Type          string           `json:"@type"` // queryDescription
	StatementText string           `json:"statementText"`
	Description   QueryDescription `json:"queryDescription"`
	Warnings      []Warning        `json:"warnings"`
}

// QueryDescriptionsEntity answers SHOW QUERIES EXTENDED.
type QueryDescriptionsEntity struct {
	Type          string             `json:"@type"` // query_descriptions
	StatementText string             `json:"statementText"`
	Descriptions  []QueryDescription `json:"queryDescriptions"`
	Warnings      []Warning          `json:"warnings"`
}

// AssertTopicEntity answers ASSERT TOPIC.
type AssertTopicEntity struct {
	Type          string    `json:"@type"` // assert_topic
	StatementText string    `json:"statementText"`
	Topic         string    `json:"topicName"`
	Exists        bool      `json:"exists"`
	Warnings      []Warning `json:"warnings"`
}

// title is a word with a capital: Stream, Table.
func title(kind string) string { return strings.ToUpper(kind[:1]) + strings.ToLower(kind[1:]) }
