package registry

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gorilla/mux"
)

// contentType of requests and answers.
const contentType = "application/vnd.schemaregistry.v1+json"

// maxBody is how long a request may be, in bytes.
const maxBody = 8 << 20

// request is a request with what its path and query say.
type request struct {
	*http.Request
	subject string
}

// flag is a parameter of the query that is "true" or not.
func (r *request) flag(name string) bool { return r.URL.Query().Get(name) == "true" }

// body reads the JSON of a request.
func (r *request) body(into any) error {
	d := json.NewDecoder(r.Body)
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return refuse(codeBadRequest, "the request is not the JSON object that it should be: %v", err)
	}
	return nil
}

// number is the version that the path names, -1 for "latest".
func (r *request) number() (int, error) {
	text := mux.Vars(r.Request)["version"]
	if text == "latest" || text == "-1" {
		return latest, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 1<<31-1 {
		return 0, refuse(CodeBadNumber, "The specified version '%s' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"", text)
	}
	return n, nil
}

// id is the schema's id that the path names.
func (r *request) id() (int, error) {
	n, err := strconv.Atoi(mux.Vars(r.Request)["id"])
	if err != nil {
		return 0, &Error{http.StatusNotFound, "HTTP 404 Not Found"}
	}
	return n, nil
}

// raw is an answer that is a schema's text, not JSON of ours.
type raw string

// Handler serves the registry over HTTP. log hears of what fails in the server;
// nil for the default one.
func (m *Embedded) Handler(log *slog.Logger) http.Handler {
	if log == nil {
		log = slog.Default()
	}
	router := mux.NewRouter().UseEncodedPath()
	route := func(method, path string, answer func(*request) (any, error)) {
		router.HandleFunc(path, func(w http.ResponseWriter, req *http.Request) {
			req.Body = http.MaxBytesReader(w, req.Body, maxBody)
			r := &request{Request: req, subject: mux.Vars(req)["subject"]}
			if s, err := url.PathUnescape(r.subject); err == nil {
				r.subject = s
			}
			v, err := answer(r)
			reply(w, log, v, err)
		}).Methods(method)
	}
	route("GET", "/", func(*request) (any, error) { return map[string]any{}, nil })
	route("GET", "/contexts", func(*request) (any, error) { return []string{"."}, nil })
	route("GET", "/v1/metadata/id", func(*request) (any, error) {
		return map[string]any{"scope": map[string]any{"path": []string{}, "clusters": map[string]string{"schema-registry-cluster": "schema-registry"}}, "id": ""}, nil
	})
	route("GET", "/schemas/types", func(*request) (any, error) { return []string{JSON, Protobuf, Avro}, nil })
	m.subjectRoutes(route)
	m.schemaRoutes(route)
	m.settingRoutes(route)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, log, nil, &Error{http.StatusNotFound, "HTTP 404 Not Found"})
	})
	router.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reply(w, log, nil, &Error{http.StatusMethodNotAllowed, "HTTP 405 Method Not Allowed"})
	})
	return router
}

func reply(w http.ResponseWriter, log *slog.Logger, v any, err error) {
	w.Header().Set("Content-Type", contentType)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Code: codeStore, Message: err.Error()}
		}
		status := e.Code
		if status >= 1000 {
			status /= 100
		}
		if status >= 500 {
			log.Error("registry: a request failed", "code", e.Code, "err", e.Message)
		}
		w.WriteHeader(status)
		v = e
	}
	// What fails here is that the client is gone.
	if text, ok := v.(raw); ok {
		_, _ = io.WriteString(w, string(text))
		return
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}

// answered is a schema as answers have it: AVRO goes without saying.
func answered(s Schema) Schema {
	if s.Type == Avro {
		s.Type = ""
	}
	return s
}

func answeredVersion(v Version, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	v.Schema = answered(v.Schema)
	return v, nil
}

type router func(method, path string, answer func(*request) (any, error))

func (m *Embedded) subjectRoutes(route router) {
	locked := func(method, path string, answer func(*request) (any, error)) {
		route(method, path, func(r *request) (any, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			return answer(r)
		})
	}
	locked("GET", "/subjects", func(r *request) (any, error) {
		return m.names(r.URL.Query().Get("subjectPrefix"), r.flag("deleted"), r.flag("deletedOnly")), nil
	})
	route("POST", "/subjects/{subject}", func(r *request) (any, error) {
		var s Schema
		if err := r.body(&s); err != nil {
			return nil, err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		return answeredVersion(m.lookUp(r.subject, s, r.flag("deleted")))
	})
	locked("DELETE", "/subjects/{subject}", func(r *request) (any, error) { return m.deleteSubject(r.subject, r.flag("permanent")) })
	locked("GET", "/subjects/{subject}/versions", m.listVersions)
	route("POST", "/subjects/{subject}/versions", m.post)
	locked("GET", "/subjects/{subject}/versions/{version}", func(r *request) (any, error) { return answeredVersion(m.versionOf(r)) })
	locked("GET", "/subjects/{subject}/versions/{version}/schema", func(r *request) (any, error) {
		v, err := m.versionOf(r)
		return raw(v.Text), err
	})
	locked("GET", "/subjects/{subject}/versions/{version}/referencedby", func(r *request) (any, error) {
		v, err := m.versionOf(r)
		return m.referencedBy(r.subject, v.Version), err
	})
	locked("DELETE", "/subjects/{subject}/versions/{version}", func(r *request) (any, error) {
		n, err := r.number()
		if err != nil {
			return nil, err
		}
		return m.deleteVersion(r.subject, n, r.flag("permanent"))
	})
	route("POST", "/compatibility/subjects/{subject}/versions", func(r *request) (any, error) { return m.compatible(r, false) })
	route("POST", "/compatibility/subjects/{subject}/versions/{version}", func(r *request) (any, error) { return m.compatible(r, true) })
}

func (m *Embedded) listVersions(r *request) (any, error) {
	out := []int{}
	for _, v := range m.live(r.subject, r.flag("deleted") || r.flag("deletedOnly")) {
		if v.Deleted || !r.flag("deletedOnly") {
			out = append(out, v.Number)
		}
	}
	if len(out) == 0 {
		return nil, refuse(CodeNoSubject, "Subject '%s' not found.", r.subject)
	}
	return out, nil
}

func (m *Embedded) versionOf(r *request) (Version, error) {
	n, err := r.number()
	if err != nil {
		return Version{}, err
	}
	return m.version(r.subject, n, r.flag("deleted"))
}

// post registers a schema.
func (m *Embedded) post(r *request) (any, error) {
	var in struct {
		Schema
		ID      int `json:"id"`
		Version int `json:"version"`
	}
	if err := r.body(&in); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if in.ID < 0 {
		in.ID = 0
	}
	id, err := m.register(r.subject, in.Schema, in.ID, max(in.Version, 0))
	return map[string]int{"id": id}, err
}

// compatible tells whether a schema could be registered, as far as one version of
// the subject, or all that count, are concerned.
func (m *Embedded) compatible(r *request, one bool) (any, error) {
	var s Schema
	if err := r.body(&s); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	level := m.level(r.subject)
	var problems []string
	if one {
		n, err := r.number()
		if err != nil {
			return nil, err
		}
		v, err := m.version(r.subject, n, false)
		if err != nil {
			return nil, err
		}
		p, err := m.parse(s)
		if err != nil {
			return nil, err
		}
		problems = m.against(placed{Number: v.Version, ID: v.ID}, p, level)
	} else {
		p, err := m.parse(s)
		if err != nil {
			return nil, err
		}
		problems = m.check(r.subject, p, level)
	}
	out := map[string]any{"is_compatible": len(problems) == 0}
	if r.flag("verbose") {
		if problems == nil {
			problems = []string{}
		}
		out["messages"] = problems
	}
	return out, nil
}

func (m *Embedded) schemaRoutes(route router) {
	byID := func(path string, answer func(r *request, id int, s Schema) any) {
		route("GET", path, func(r *request) (any, error) {
			id, err := r.id()
			if err != nil {
				return nil, err
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			s, err := m.schema(id)
			if err != nil {
				return nil, err
			}
			return answer(r, id, s), nil
		})
	}
	byID("/schemas/ids/{id}", func(r *request, _ int, s Schema) any {
		out := struct {
			Schema
			MaxID *int `json:"maxId,omitempty"`
		}{Schema: answered(s)}
		if r.flag("fetchMaxId") {
			out.MaxID = &m.lastID
		}
		return out
	})
	byID("/schemas/ids/{id}/schema", func(_ *request, _ int, s Schema) any { return raw(s.Text) })
	byID("/schemas/ids/{id}/subjects", func(r *request, id int, _ Schema) any {
		out := []string{}
		for _, u := range m.uses(id, r.flag("deleted")) {
			if len(out) == 0 || out[len(out)-1] != u.Subject {
				out = append(out, u.Subject)
			}
		}
		return out
	})
	byID("/schemas/ids/{id}/versions", func(r *request, id int, _ Schema) any { return m.uses(id, r.flag("deleted")) })
	route("GET", "/schemas", func(r *request) (any, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		out := []Version{}
		for _, subject := range m.names(r.URL.Query().Get("subjectPrefix"), r.flag("deleted"), false) {
			all := m.live(subject, r.flag("deleted"))
			if r.flag("latestOnly") {
				all = all[len(all)-1:]
			}
			for _, v := range all {
				out = append(out, Version{Subject: subject, ID: v.ID, Version: v.Number, Schema: answered(m.schemas[v.ID].Schema)})
			}
		}
		return page(out, r), nil
	})
}

// page cuts a list as the query's offset and limit say.
func page(all []Version, r *request) []Version {
	from, err := strconv.Atoi(r.URL.Query().Get("offset"))
	if err == nil && from > 0 {
		all = all[min(from, len(all)):]
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && n >= 0 && n < len(all) {
		all = all[:n]
	}
	return all
}

// settingRoutes are those of /config and /mode, of all and of a subject.
func (m *Embedded) settingRoutes(route router) {
	type level struct {
		Level string `json:"compatibilityLevel"`
	}
	type setLevel struct {
		Level string `json:"compatibility"`
	}
	type mode struct {
		Mode string `json:"mode"`
	}
	for _, path := range []string{"/config", "/config/{subject}"} {
		const noun = "compatibility"
		route("GET", path, func(r *request) (any, error) {
			v, err := m.setting(r.subject, m.levels, r.flag("defaultToGlobal"), CodeNoSubjectLevel, noun)
			return level{v}, err
		})
		route("PUT", path, func(r *request) (any, error) {
			var in setLevel
			if err := r.body(&in); err != nil {
				return nil, err
			}
			return in, m.SetLevel(r.subject, in.Level)
		})
		route("DELETE", path, func(r *request) (any, error) {
			v, err := m.unset(levelKey(r.subject), m.levels, CodeNoSubjectLevel, noun)
			return setLevel{v}, err
		})
	}
	for _, path := range []string{"/mode", "/mode/{subject}"} {
		route("GET", path, func(r *request) (any, error) {
			v, err := m.setting(r.subject, m.modes, r.flag("defaultToGlobal"), CodeNoSubjectMode, "mode")
			return mode{v}, err
		})
		route("PUT", path, func(r *request) (any, error) {
			var in mode
			if err := r.body(&in); err != nil {
				return nil, err
			}
			return in, m.setMode(r.subject, in.Mode, r.flag("force"))
		})
		route("DELETE", path, func(r *request) (any, error) {
			v, err := m.unset(modeKey(r.subject), m.modes, CodeNoSubjectMode, "mode")
			return mode{v}, err
		})
	}
}
