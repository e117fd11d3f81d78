package client

import (
	"encoding/json"
	"fmt"
)

// Entity is the server's answer to one statement. Type says which of the other
// fields are set; Raw holds all of it, for types and fields that this package
// doesn't name.
type Entity struct {
	Type          string          `json:"@type"`
	StatementText string          `json:"statementText"`
	Warnings      []Warning       `json:"warnings"`
	Raw           json.RawMessage `json:"-"`

	// currentStatus: CREATE, DROP, INSERT INTO … SELECT, TERMINATE, …
	CommandID             string         `json:"commandId"`
	CommandStatus         *CommandStatus `json:"commandStatus"`
	CommandSequenceNumber int64          `json:"commandSequenceNumber"`

	Message string `json:"message"` // warning_entity: IF NOT EXISTS and the like

	Streams            []Source            `json:"streams"`
	Tables             []Source            `json:"tables"`
	Queries            []RunningQuery      `json:"queries"`
	Topics             []Topic             `json:"topics"` // kafka_topics, kafka_topics_extended
	SourceDescription  *SourceDescription  `json:"sourceDescription"`
	SourceDescriptions []SourceDescription `json:"sourceDescriptions"`
	QueryDescription   *QueryDescription   `json:"queryDescription"`
	QueryDescriptions  []QueryDescription  `json:"queryDescriptions"`
	Properties         []Property          `json:"properties"`
	Variables          []Variable          `json:"variables"`
	Types              map[string]Schema   `json:"types"` // type_list

	// function_names lists Functions; describe_function fills Function.
	Functions []FunctionName `json:"-"`
	Function  *Function      `json:"-"`
}

// Warning is something the server accepted but wants read.
type Warning struct {
	Message string `json:"message"`
}

// CommandStatus says how far a command has come.
type CommandStatus struct {
	Status  string `json:"status"` // QUEUED PARSING EXECUTING RUNNING TERMINATED SUCCESS ERROR
	Message string `json:"message"`
	QueryID string `json:"queryId"` // of the persistent query it started, if any
}

// Source is a line of SHOW STREAMS or SHOW TABLES.
type Source struct {
	Type        string `json:"type"` // STREAM or TABLE
	Name        string `json:"name"`
	Topic       string `json:"topic"`
	KeyFormat   string `json:"keyFormat"`
	ValueFormat string `json:"valueFormat"`
	IsWindowed  bool   `json:"isWindowed"`
}

// RunningQuery is a line of SHOW QUERIES.
type RunningQuery struct {
	ID              string         `json:"id"`
	QueryString     string         `json:"queryString"`
	QueryType       string         `json:"queryType"` // PERSISTENT, PUSH, …
	State           string         `json:"state"`     // RUNNING, ERROR, UNRESPONSIVE, PAUSED
	StatusCount     map[string]int `json:"statusCount"`
	Sinks           []string       `json:"sinks"`
	SinkKafkaTopics []string       `json:"sinkKafkaTopics"`
}

// Topic is a line of SHOW TOPICS.
type Topic struct {
	Name               string `json:"name"`
	ReplicaInfo        []int  `json:"replicaInfo"` // replicas, a number a partition
	ConsumerCount      int    `json:"consumerCount"`
	ConsumerGroupCount int    `json:"consumerGroupCount"`
}

// Schema is a column's type.
type Schema struct {
	Type         string         `json:"type"`
	Fields       []Field        `json:"fields"`       // STRUCT
	MemberSchema *Schema        `json:"memberSchema"` // ARRAY, MAP (its values)
	Parameters   map[string]any `json:"parameters"`   // DECIMAL: precision, scale
}

// Field is a column, or a field of a STRUCT.
type Field struct {
	Name   string `json:"name"`
	Schema Schema `json:"schema"`
	Type   string `json:"type"` // KEY, or "" for a value column
}

// SourceDescription is the answer of DESCRIBE.
type SourceDescription struct {
	Name              string           `json:"name"`
	Type              string           `json:"type"`
	WindowType        string           `json:"windowType"`
	Fields            []Field          `json:"fields"`
	ReadQueries       []RunningQuery   `json:"readQueries"`
	WriteQueries      []RunningQuery   `json:"writeQueries"`
	Timestamp         string           `json:"timestamp"`
	Statistics        string           `json:"statistics"`
	ErrorStats        string           `json:"errorStats"`
	Extended          bool             `json:"extended"`
	KeyFormat         string           `json:"keyFormat"`
	ValueFormat       string           `json:"valueFormat"`
	Topic             string           `json:"topic"`
	Partitions        int              `json:"partitions"`
	Replication       int              `json:"replication"`
	Statement         string           `json:"statement"`
	SourceConstraints []string         `json:"sourceConstraints"`
	QueryOffsets      []map[string]any `json:"queryOffsetSummaries"`
}

// QueryDescription is the answer of EXPLAIN.
type QueryDescription struct {
	ID                  string            `json:"id"`
	StatementText       string            `json:"statementText"`
	WindowType          string            `json:"windowType"`
	Fields              []Field           `json:"fields"`
	Sources             []string          `json:"sources"`
	Sinks               []string          `json:"sinks"`
	Topology            string            `json:"topology"`
	ExecutionPlan       string            `json:"executionPlan"`
	OverriddenProps     map[string]any    `json:"overriddenProperties"`
	KsqlHostQueryStatus map[string]string `json:"ksqlHostQueryStatus"`
	QueryType           string            `json:"queryType"`
	State               string            `json:"state"`
	QueryErrors         []QueryError      `json:"queryErrors"`
}

// QueryError is something that stopped a task of a query.
type QueryError struct {
	Timestamp    json.Number `json:"timestamp"`
	ErrorMessage string      `json:"errorMessage"`
	Type         string      `json:"type"` // USER, SYSTEM, UNKNOWN
}

// Property is a line of SHOW PROPERTIES.
type Property struct {
	Name     string `json:"name"`
	Scope    string `json:"scope"`
	Value    string `json:"value"`
	Editable bool   `json:"editable"`
	Level    string `json:"level"`
}

// Variable is a line of SHOW VARIABLES.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// FunctionName is a line of SHOW FUNCTIONS.
type FunctionName struct {
	Name     string `json:"name"`
	Type     string `json:"type"` // SCALAR, AGGREGATE, TABLE
	Category string `json:"category"`
}

// Function is the answer of DESCRIBE FUNCTION.
type Function struct {
	Name        string              `json:"name"`
	Type        string              `json:"type"`
	Description string              `json:"description"`
	Author      string              `json:"author"`
	Version     string              `json:"version"`
	Path        string              `json:"path"`
	Signatures  []FunctionSignature `json:"functions"`
}

// FunctionSignature is one overload of a function.
type FunctionSignature struct {
	Arguments []struct {
		Name        string `json:"name"`
		Type        string `json:"type"`
		Description string `json:"description"`
		IsVariadic  bool   `json:"isVariadic"`
	} `json:"arguments"`
	ReturnType  string `json:"returnType"`
	Description string `json:"description"`
}

func decodeEntity(raw json.RawMessage) (Entity, error) {
	var e Entity
	if err := decode(raw, &e); err != nil {
		return Entity{}, fmt.Errorf("an entity of the answer can't be read (%w): %s", err, excerpt(raw))
	}
	e.Raw = raw
	switch e.Type { // "functions" means two things
	case "function_names":
		var f struct {
			Functions []FunctionName `json:"functions"`
		}
		if err := decode(raw, &f); err != nil {
			return Entity{}, fmt.Errorf("%s: %w", e.Type, err)
		}
		e.Functions = f.Functions
	case "describe_function":
		e.Function = new(Function)
		if err := decode(raw, e.Function); err != nil {
			return Entity{}, fmt.Errorf("%s: %w", e.Type, err)
		}
	}
	return e, nil
}
