package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// Info is what a server says of itself.
type Info struct {
	Version        string `json:"version"`
	KafkaClusterID string `json:"kafkaClusterId"`
	ServiceID      string `json:"ksqlServiceId"`
	Status         string `json:"serverStatus"` // RUNNING, …
}

// Info asks GET /info.
func (c *Client) Info(ctx context.Context) (Info, error) {
	var out struct {
		Info Info `json:"KsqlServerInfo"`
	}
	err := c.call(ctx, http.MethodGet, "/info", nil, &out)
	return out.Info, err
}

// Health is the answer of GET /healthcheck.
type Health struct {
	IsHealthy bool `json:"isHealthy"`
	// Details holds a part of the server each (metastore, kafka,
	// commandRunner, …): whether it is healthy, and whatever else it tells.
	Details     map[string]HealthDetail `json:"details"`
	ServerState string                  `json:"serverState"` // READY, …
	Raw         json.RawMessage         `json:"-"`
}

// HealthDetail is the health of one part of the server.
type HealthDetail struct {
	IsHealthy bool `json:"isHealthy"`
}

// Healthcheck asks GET /healthcheck. A server that answers but isn't healthy
// is no error: look at IsHealthy.
func (c *Client) Healthcheck(ctx context.Context) (Health, error) {
	var raw json.RawMessage
	if err := c.call(ctx, http.MethodGet, "/healthcheck", nil, &raw); err != nil {
		return Health{}, err
	}
	h := Health{Raw: raw}
	return h, decode(raw, &h)
}

// Live asks GET /chc/live: whether the server answers at all.
func (c *Client) Live(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/chc/live", nil, nil)
}

// Ready asks GET /chc/ready. A ksqlDB that still restores its tables says yes: ask
// for a row of a table to be sure.
func (c *Client) Ready(ctx context.Context) error {
	return c.call(ctx, http.MethodGet, "/chc/ready", nil, nil)
}

// Metadata is the answer of GET /v1/metadata.
type Metadata struct {
	Version   string     `json:"version"`
	ClusterID ClusterRef `json:"clusterId"`
}

// ClusterRef names the clusters a server belongs to.
type ClusterRef struct {
	ID    string `json:"id"`
	Scope struct {
		Path     []string          `json:"path"`
		Clusters map[string]string `json:"clusters"` // kafka-cluster, ksql-cluster
	} `json:"scope"`
}

// ServerMetadata asks GET /v1/metadata.
func (c *Client) ServerMetadata(ctx context.Context) (Metadata, error) {
	var m Metadata
	err := c.call(ctx, http.MethodGet, "/v1/metadata", nil, &m)
	return m, err
}

// Statuses asks GET /status: the status of every command, by command id.
func (c *Client) Statuses(ctx context.Context) (map[string]string, error) {
	var out struct {
		Statuses map[string]string `json:"commandStatuses"`
	}
	err := c.call(ctx, http.MethodGet, "/status", nil, &out)
	return out.Statuses, err
}

// Status asks for the status of one command by the id that Execute returned
// ("stream/`ORDERS`/create").
func (c *Client) Status(ctx context.Context, commandID string) (CommandStatus, error) {
	parts := strings.Split(commandID, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	var s CommandStatus
	err := c.call(ctx, http.MethodGet, "/status/"+strings.Join(parts, "/"), nil, &s)
	return s, err
}

// HostStatus is what the cluster knows of one of its hosts.
type HostStatus struct {
	HostAlive             bool                      `json:"hostAlive"`
	LastStatusUpdateMs    int64                     `json:"lastStatusUpdateMs"`
	ActiveStandbyPerQuery map[string]QueryPlacement `json:"activeStandbyPerQuery"`
	HostStoreLags         json.RawMessage           `json:"hostStoreLags"`
}

// QueryPlacement is what a host holds of a query.
type QueryPlacement struct {
	ActiveStores      []string         `json:"activeStores"`
	ActivePartitions  []TopicPartition `json:"activePartitions"`
	StandByStores     []string         `json:"standByStores"`
	StandByPartitions []TopicPartition `json:"standByPartitions"`
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
}

// ClusterStatus asks GET /clusterStatus: hosts by "host:port". The server has
// it only with ksql.heartbeat.enable=true; else the error's HTTPStatus is 404.
func (c *Client) ClusterStatus(ctx context.Context) (map[string]HostStatus, error) {
	var out struct {
		Hosts map[string]HostStatus `json:"clusterStatus"`
	}
	err := c.call(ctx, http.MethodGet, "/clusterStatus", nil, &out)
	return out.Hosts, err
}

// IsValidProperty asks whether a request may set the property. If it may not,
// the reason is the error's.
func (c *Client) IsValidProperty(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodGet, "/is_valid_property/"+url.PathEscape(name), nil, nil)
}

// CloseQuery ends a push query by its id, whoever started it.
func (c *Client) CloseQuery(ctx context.Context, queryID string) error {
	return c.call(ctx, http.MethodPost, "/close-query", map[string]string{"queryId": queryID}, nil)
}
