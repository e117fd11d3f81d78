package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"

	"github.com/gorilla/mux"
)

// contentType of requests and answers.
const contentType = "application/vnd.schemaregistry.v1+json"

// maxBody is how long a request may be, in bytes.
const maxBody = 8 << 20

// Handler serves the registry over HTTP.
func (m *Memory) Handler() http.Handler {
	r := mux.NewRouter().UseEncodedPath()
	route := func(method, path string, answer func(r *http.Request) (any, error)) {
		r.HandleFunc(path, func(w http.ResponseWriter, req *http.Request) {
			req.Body = http.MaxBytesReader(w, req.Body, maxBody)
			v, err := answer(req)
			reply(w, v, err)
		}).Methods(method)
	}
	route("GET", "/", func(*http.Request) (any, error) { return map[string]any{}, nil })
	route("GET", "/subjects", func(*http.Request) (any, error) { return m.Subjects(), nil })
	route("POST", "/subjects/{subject}", m.lookUp)
	route("GET", "/subjects/{subject}/versions", m.versions)
	route("POST", "/subjects/{subject}/versions", m.post)
	route("GET", "/subjects/{subject}/versions/{version}", m.get)
	route("GET", "/schemas/types", func(*http.Request) (any, error) { return []string{JSON, Protobuf, Avro}, nil })
	route("GET", "/schemas/ids/{id}", m.getByID)
	route("GET", "/schemas/ids/{id}/versions", m.usesOfID)
	// Every change of a schema is let pass, and this says so.
	route("GET", "/config", func(*http.Request) (any, error) { return map[string]string{"compatibilityLevel": "NONE"}, nil })
	route("GET", "/mode", func(*http.Request) (any, error) { return map[string]string{"mode": "READWRITE"}, nil })
	route("POST", "/compatibility/subjects/{subject}/versions/{version}", func(r *http.Request) (any, error) {
		if _, err := m.get(r); err != nil {
			return nil, err
		}
		return map[string]bool{"is_compatible": true}, nil
	})
	return r
}

func reply(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", contentType)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			e = &Error{Code: 50001, Message: err.Error()}
		}
		status := e.Code
		if status >= 1000 {
			status /= 100
		}
		w.WriteHeader(status)
		v = e
	}
	// The client is gone when this fails.
	_ = json.NewEncoder(w).Encode(v)
}

func subjectOf(r *http.Request) string {
	text := mux.Vars(r)["subject"]
	if s, err := url.PathUnescape(text); err == nil {
		return s
	}
	return text
}

func body(r *http.Request) (Schema, error) {
	var s Schema
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		return s, &Error{http.StatusBadRequest, "the request is not a JSON object with a schema: " + err.Error()}
	}
	return s, nil
}

func (m *Memory) post(r *http.Request) (any, error) {
	s, err := body(r)
	if err != nil {
		return nil, err
	}
	id, err := m.RegisterSchema(subjectOf(r), s)
	return map[string]int{"id": id}, err
}

func (m *Memory) lookUp(r *http.Request) (any, error) {
	s, err := body(r)
	if err != nil {
		return nil, err
	}
	s.Type = typeOf(s.Type)
	m.mu.Lock()
	defer m.mu.Unlock()
	subject := subjectOf(r)
	if _, err := m.version(subject, -1); err != nil {
		return nil, err
	}
	id := m.find(s)
	for i, has := range m.subjects[subject] {
		if has == id {
			return m.version(subject, i+1)
		}
	}
	return nil, &Error{CodeNoSchema, "Schema not found"}
}

func (m *Memory) versions(r *http.Request) (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, err := m.version(subjectOf(r), -1)
	out := []int{}
	for v := 1; v <= last.Version; v++ {
		out = append(out, v)
	}
	return out, err
}

func (m *Memory) get(r *http.Request) (any, error) {
	text := mux.Vars(r)["version"]
	version := -1
	if text != "latest" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 && n != -1 {
			return nil, &Error{CodeBadNumber, fmt.Sprintf("The specified version '%s' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"", text)}
		}
		version = n
	}
	return m.Version(subjectOf(r), version)
}

func (m *Memory) getByID(r *http.Request) (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.schema(idOf(r))
}

// idOf is 0, which no schema has, for what is no number.
func idOf(r *http.Request) int {
	id, err := strconv.Atoi(mux.Vars(r)["id"])
	if err != nil {
		return 0
	}
	return id
}

func (m *Memory) usesOfID(r *http.Request) (any, error) {
	type use struct {
		Subject string `json:"subject"`
		Version int    `json:"version"`
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := idOf(r)
	if _, err := m.schema(id); err != nil {
		return nil, err
	}
	out := []use{}
	for subject, ids := range m.subjects {
		for i, has := range ids {
			if has == id {
				out = append(out, use{subject, i + 1})
			}
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Subject < out[j].Subject })
	return out, nil
}
