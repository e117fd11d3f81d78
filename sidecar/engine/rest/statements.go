package rest

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine"
)

// statementsRequest is POST /ksql.
func (s *Server) statementsRequest(w http.ResponseWriter, r *http.Request) {
	var body statementBody
	if err := read(r, &body, entityPackage+"KsqlRequest"); err != nil {
		s.fail(w, err, "")
		return
	}
	entities, err := s.engine.Execute(r.Context(), body.request())
	if err != nil {
		s.fail(w, err, mediaJSON)
		return
	}
	reply(w, entities)
}

// terminate is POST /ksql/terminate: the service's statements end, for good.
func (s *Server) terminate(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Topics []string `json:"deleteTopicList"`
	}
	if err := read(r, &body, entityPackage+"ClusterTerminateRequest"); err != nil {
		s.fail(w, err, "")
		return
	}
	entities, err := s.engine.Terminate(r.Context(), body.Topics)
	if err != nil {
		s.fail(w, err, mediaJSON)
		return
	}
	reply(w, entities)
}

func (s *Server) info(w http.ResponseWriter, _ *http.Request) {
	reply(w, struct {
		Info engine.Info `json:"KsqlServerInfo"`
	}{s.engine.Info()})
}

// healthCache keeps a health for a moment: probes must not load Kafka.
type healthCache struct {
	mu    sync.Mutex
	at    time.Time
	value engine.Health
}

const healthFor = 2 * time.Second

func (s *Server) currentHealth(r *http.Request) engine.Health {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if time.Since(s.health.at) > healthFor || !s.health.value.Kafka || s.health.value.Restoring > 0 {
		s.health.value, s.health.at = s.engine.Health(r.Context()), time.Now()
	}
	return s.health.value
}

type healthy struct {
	Healthy bool `json:"isHealthy"`
}

// restoring is the engine's own detail: tables that are being read back.
type restoring struct {
	Healthy bool  `json:"isHealthy"`
	Queries int   `json:"queries"`
	Read    int64 `json:"recordsRead"`
	Of      int64 `json:"recordsToRead"`
}

// healthcheck is 200 whatever it says, as ksqlDB's.
func (s *Server) healthcheck(w http.ResponseWriter, r *http.Request) {
	h := s.currentHealth(r)
	type details struct {
		Metastore     healthy    `json:"metastore"`
		Kafka         healthy    `json:"kafka"`
		CommandRunner healthy    `json:"commandRunner"`
		Restoring     *restoring `json:"restoring,omitempty"`
	}
	d := details{healthy{h.Metastore}, healthy{h.Kafka}, healthy{h.CommandRunner}, nil}
	if h.Restoring > 0 {
		d.Restoring = &restoring{true, h.Restoring, h.Done, h.Total}
	}
	reply(w, struct {
		Healthy bool    `json:"isHealthy"`
		Details details `json:"details"`
		State   string  `json:"serverState"`
	}{h.Metastore && h.Kafka && h.CommandRunner, d, "READY"})
}

func (s *Server) clusterStatus(w http.ResponseWriter, r *http.Request) {
	status, on := s.engine.ClusterStatus(r.Context())
	if !on {
		w.Header().Set("Content-Type", mediaJSON)
		w.WriteHeader(http.StatusNotFound)
		return
	}
	reply(w, map[string]any{"clusterStatus": status})
}

// heartbeat and lag answer what ksqlDB's nodes tell each other: this one has no
// others.
func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Host peerAddress `json:"hostInfo"`
		Time int64       `json:"timestamp"`
	}
	s.peer(w, r, &body, "HeartbeatMessage")
}

func (s *Server) lag(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Host peerAddress    `json:"ksqlHost"`
		Lags map[string]any `json:"hostStoreLags"`
	}
	s.peer(w, r, &body, "LagReportingMessage")
}

func (s *Server) peer(w http.ResponseWriter, r *http.Request, body any, entity string) {
	if err := read(r, body, entityPackage+entity); err != nil {
		s.fail(w, err, "")
		return
	}
	reply(w, map[string]bool{"ok": true})
}

// peerAddress is a node's host:port.
type peerAddress string

func (s *Server) statuses(w http.ResponseWriter, _ *http.Request) {
	out := map[string]string{}
	for id, st := range s.engine.Statuses() {
		out[id] = st.Status
	}
	reply(w, map[string]any{"commandStatuses": out})
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	entity := r.PathValue("entity")
	for _, name := range []string{entity, "`" + strings.Trim(entity, "`") + "`", strings.Trim(entity, "`")} {
		if st, ok := s.engine.Statuses()[r.PathValue("type")+"/"+name+"/"+r.PathValue("action")]; ok {
			reply(w, st)
			return
		}
	}
	s.fail(w, &engine.Error{Status: http.StatusNotFound, Code: engine.CodeNotFound, Message: "Command not found"}, mediaJSON)
}

func (s *Server) validProperty(w http.ResponseWriter, r *http.Request) {
	if err := s.engine.ValidProperty(r.PathValue("property")); err != nil {
		s.fail(w, err, mediaJSON)
		return
	}
	reply(w, true)
}

type clusterScope struct {
	Scope struct {
		Path     []string `json:"path"`
		Clusters struct {
			Kafka string `json:"kafka-cluster"`
			KSQL  string `json:"ksql-cluster"`
		} `json:"clusters"`
	} `json:"scope"`
	ID string `json:"id"`
}

func (s *Server) scope() clusterScope {
	var c clusterScope
	info := s.engine.Info()
	c.Scope.Path = []string{}
	c.Scope.Clusters.Kafka, c.Scope.Clusters.KSQL = info.ClusterID, info.ServiceID
	return c
}

func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	reply(w, struct {
		Version string       `json:"version"`
		Cluster clusterScope `json:"clusterId"`
	}{s.engine.Info().Version, s.scope()})
}

func (s *Server) metadataID(w http.ResponseWriter, _ *http.Request) { reply(w, s.scope()) }

func (s *Server) alive(w http.ResponseWriter, _ *http.Request) { reply(w, struct{}{}) }
