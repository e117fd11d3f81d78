package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine"
)

// Engine is what is served.
type Engine interface {
	Execute(ctx context.Context, r engine.Request) ([]engine.Entity, error)
	Query(ctx context.Context, r engine.Request) (*engine.Rows, *engine.Printing, error)
	CloseQuery(id string) bool
	Inserter(target string, properties map[string]any) (*engine.Inserter, error)
	Terminate(ctx context.Context, topics []string) ([]engine.Entity, error)
	Info() engine.Info
	Health(ctx context.Context) engine.Health
	Statuses() map[string]engine.CommandStatus
	ValidProperty(name string) error
	ClusterStatus(ctx context.Context) (map[string]engine.HostStatus, bool)
	Metrics() []engine.QueryMetrics
	OpenQueries() int
	Done() <-chan struct{}
}

// The media types of the API.
const (
	mediaV1        = "application/vnd.ksql.v1+json"
	mediaJSON      = "application/json"
	mediaDelimited = "application/vnd.ksqlapi.delimited.v1"
	mediaProtobuf  = "application/vnd.ksql.v1+protobuf"
)

// maxBody bounds a request that is held in memory whole.
const maxBody = 8 << 20

// Server serves an engine.
type Server struct {
	engine Engine
	log    *slog.Logger
	mux    *http.ServeMux
	stats  *stats
	health healthCache
}

// New makes a server of an engine. It is an http.Handler, for servers of one's
// own; Serve is a server with HTTP/1.1 and HTTP/2.
func New(e Engine, log *slog.Logger) *Server {
	if log == nil {
		log = slog.Default()
	}
	s := &Server{engine: e, log: log, mux: http.NewServeMux(), stats: newStats(e)}
	s.get("/info", s.info)
	s.get("/healthcheck", s.healthcheck)
	s.get("/clusterStatus", s.clusterStatus)
	s.get("/status", s.statuses)
	s.get("/status/{type}/{entity}/{action}", s.status)
	s.get("/is_valid_property/{property}", s.validProperty)
	s.get("/v1/metadata", s.metadata)
	s.get("/v1/metadata/id", s.metadataID)
	s.get("/chc/live", s.alive)
	s.get("/chc/ready", s.alive)
	s.post("/ksql", s.statementsRequest)
	s.post("/ksql/terminate", s.terminate)
	s.post("/heartbeat", s.heartbeat)
	s.post("/lag", s.lag)
	s.route(http.MethodPost, "/query", nil, s.oldQuery)
	s.route(http.MethodPost, "/query-stream", nil, s.queryStream)
	s.route(http.MethodPost, "/close-query", nil, s.closeQuery)
	s.route(http.MethodPost, "/inserts-stream", nil, s.insertsStream)
	s.route(http.MethodGet, "/ws/query", nil, s.websocketQuery)
	s.route(http.MethodGet, "/metrics", nil, s.stats.handler().ServeHTTP)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, "<html><body><h1>Resource not found</h1></body></html>")
		case r.Method != http.MethodGet:
			w.Header().Set("Allow", http.MethodGet)
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			w.Header().Set("Location", "/info")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	})
	return s
}

func (s *Server) get(path string, h http.HandlerFunc)  { s.route(http.MethodGet, path, jsonOnly, h) }
func (s *Server) post(path string, h http.HandlerFunc) { s.route(http.MethodPost, path, jsonOnly, h) }

// jsonOnly are the media types of the routes that answer one JSON document.
var jsonOnly = []string{mediaV1, mediaJSON}

// route serves a path with one method; accept nil leaves media types to h.
func (s *Server) route(method, path string, accept []string, h http.HandlerFunc) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if accept != nil {
			if _, ok := negotiate(r, accept...); !ok {
				w.WriteHeader(http.StatusNotAcceptable)
				return
			}
		}
		h(w, r)
	})
}

// negotiate picks the first of the offered media types that the request accepts,
// in the request's order.
func negotiate(r *http.Request, offers ...string) (string, bool) {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return offers[0], true
	}
	for want := range strings.SplitSeq(accept, ",") {
		want, _, _ = strings.Cut(want, ";")
		switch want = strings.TrimSpace(want); want {
		case "*/*", "application/*":
			return offers[0], true
		}
		for _, o := range offers {
			if want == o {
				return o, true
			}
		}
	}
	return "", false
}

// bodyTime is how long a client may take to send a request that is read whole.
const bodyTime = 30 * time.Second

// timedBody is a request's body under a deadline, which ends with the body: answers
// may take as long as they want.
type timedBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// ServeHTTP serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	if r.Method == http.MethodPost && r.URL.Path != "/inserts-stream" {
		rc := http.NewResponseController(w)
		if rc.SetReadDeadline(began.Add(bodyTime)) == nil {
			r.Body = &timedBody{r.Body, rc}
		}
	}
	defer func() {
		s.stats.request(r.URL.Path, time.Since(began))
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.log.Error("a request failed", "path", r.URL.Path, "panic", p)
			s.fail(w, &engine.Error{Status: http.StatusInternalServerError, Code: engine.CodeServerError, Message: "The server failed on this request; its log has the details."}, mediaJSON)
		}
	}()
	s.mux.ServeHTTP(w, r)
}

// Serve answers on the listener until ctx ends or the engine does; requests under
// way then have a moment to finish.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	base, cancel := context.WithCancel(context.Background())
	defer cancel()
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 1000},
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	case <-s.engine.Done():
	}
	cancel() // ends push queries
	limit, stop := context.WithTimeout(context.Background(), 3*time.Second)
	defer stop()
	if err := srv.Shutdown(limit); err != nil {
		srv.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// errorBody is an error as JSON.
type errorBody struct {
	Type      string           `json:"@type"`
	Code      int              `json:"error_code"`
	Message   string           `json:"message"`
	Statement *string          `json:"statementText,omitempty"`
	Entities  *[]engine.Entity `json:"entities,omitempty"`
}

func bodyOf(e *engine.Error) errorBody {
	b := errorBody{Type: "generic_error", Code: e.Code, Message: e.Message}
	if e.HasStatement {
		b.Type, b.Statement = "statement_error", &e.Statement
		entities := e.Entities
		if entities == nil {
			entities = []engine.Entity{}
		}
		b.Entities = &entities
	}
	return b
}

// asEngineError is the error that the API can tell.
func asEngineError(err error) *engine.Error {
	var e *engine.Error
	if errors.As(err, &e) {
		return e
	}
	return &engine.Error{Status: http.StatusInternalServerError, Code: engine.CodeServerError, Message: err.Error()}
}

// fail answers with an error. media "" leaves the content type out, as ksqlDB's
// streaming endpoints do.
func (s *Server) fail(w http.ResponseWriter, err error, media string) {
	e := asEngineError(err)
	if e.Status >= 500 {
		s.log.Warn("a request failed", "code", e.Code, "err", e.Message)
	}
	contentType(w, media)
	w.WriteHeader(e.Status)
	w.Write(marshal(bodyOf(e)))
}

func contentType(w http.ResponseWriter, media string) {
	if media == "" {
		w.Header()["Content-Type"] = nil // else the server guesses one
		return
	}
	w.Header().Set("Content-Type", media)
}

// reply answers with a JSON document.
func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", mediaJSON)
	w.Write(marshal(v))
}

// marshal writes JSON as Jackson does: no escapes that JSON doesn't need.
func marshal(v any) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // our own types
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}
