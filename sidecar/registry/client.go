package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Client talks to a Schema Registry. Schemas never change under their id, so that
// each is fetched once. It is safe for use by several goroutines.
type Client struct {
	urls           []string
	user, password string
	http           *http.Client

	mu         sync.Mutex
	byID       map[int]known
	missing    map[int]missing
	registered map[[3]string]int
}

type known struct {
	Schema
	references map[string]string
}

// missing is an id that the registry didn't know, and when it said so: records that
// name it come in numbers.
type missing struct {
	err error
	at  time.Time
}

// missingFor is how long the registry isn't asked again for such an id.
const missingFor = time.Second

// requestTimeout bounds a request.
const requestTimeout = 10 * time.Second

// maxCached bounds what is remembered.
const maxCached = 10000

// NewClient makes a client of the registries at urls, separated by commas; the
// next is asked when one doesn't answer. credentials are "user:password" for basic
// authentication, or "". The error says what is wrong with a URL; nothing is asked
// of a registry yet.
func NewClient(urls, credentials string) (*Client, error) {
	c := &Client{http: &http.Client{Timeout: requestTimeout}, byID: map[int]known{}, missing: map[int]missing{}, registered: map[[3]string]int{}}
	for _, text := range strings.Split(urls, ",") {
		text = strings.TrimRight(strings.TrimSpace(text), "/")
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("ksql.schema.registry.url: %q is not a URL such as http://127.0.0.1:8081", text)
		}
		c.urls = append(c.urls, text)
	}
	c.user, c.password, _ = strings.Cut(credentials, ":")
	return c, nil
}

// Register gives the id of the schema under the subject, registering it when new.
func (c *Client) Register(subject, schemaType, text string) (int, error) {
	key := [3]string{subject, schemaType, text}
	c.mu.Lock()
	id, ok := c.registered[key]
	c.mu.Unlock()
	if ok {
		return id, nil
	}
	var out struct{ ID int }
	s := Schema{Type: schemaType, Text: text}
	if s.Type == Avro {
		s.Type = "" // old registries don't know the field
	}
	if err := c.do(http.MethodPost, "/subjects/"+url.PathEscape(subject)+"/versions", s, &out); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.registered) < maxCached {
		c.registered[key] = out.ID
	}
	return out.ID, nil
}

// Delete deletes a subject, as its topic goes; records that name the ids of its
// schemas can still be read. One that isn't there is no mistake.
func (c *Client) Delete(subject string) ([]int, error) {
	c.mu.Lock()
	for key := range c.registered {
		if key[0] == subject {
			delete(c.registered, key)
		}
	}
	c.mu.Unlock()
	var versions []int
	err := c.do(http.MethodDelete, "/subjects/"+url.PathEscape(subject), nil, &versions)
	var refused *Error
	if errors.As(err, &refused) && (refused.Code == CodeNoSubject || refused.Code == CodeSubjectDeleted) {
		err = nil
	}
	return versions, err
}

// ByID gives a schema by its id, with the texts of its references by name.
func (c *Client) ByID(id int) (schemaType, text string, references map[string]string, err error) {
	c.mu.Lock()
	k, ok := c.byID[id]
	gone := c.missing[id]
	c.mu.Unlock()
	if ok {
		return k.Type, k.Text, k.references, nil
	}
	if gone.err != nil && time.Since(gone.at) < missingFor {
		return "", "", nil, gone.err
	}
	if err := c.do(http.MethodGet, "/schemas/ids/"+strconv.Itoa(id), nil, &k.Schema); err != nil {
		c.note(id, err)
		return "", "", nil, err
	}
	k.Type = typeOf(k.Type)
	if k.references, err = c.references(k.Schema); err != nil {
		return "", "", nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byID) < maxCached {
		c.byID[id] = k
	}
	return k.Type, k.Text, k.references, nil
}

// note remembers that the registry doesn't know an id.
func (c *Client) note(id int, err error) {
	if refused := (*Error)(nil); !errors.As(err, &refused) || refused.Code != CodeNoSchema {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.missing) >= maxCached {
		clear(c.missing)
	}
	c.missing[id] = missing{err, time.Now()}
}

// Latest gives the newest schema of a subject; id is 0 when there is none.
func (c *Client) Latest(subject string) (id int, schemaType, text string, references map[string]string, err error) {
	v, err := c.version(subject, "latest")
	var refused *Error
	if errors.As(err, &refused) && (refused.Code == CodeNoSubject || refused.Code == CodeNoVersion) {
		return 0, "", "", nil, nil
	}
	if err != nil {
		return 0, "", "", nil, err
	}
	references, err = c.references(v.Schema)
	return v.ID, typeOf(v.Type), v.Text, references, err
}

func (c *Client) version(subject, version string) (Version, error) {
	var v Version
	err := c.do(http.MethodGet, "/subjects/"+url.PathEscape(subject)+"/versions/"+version, nil, &v)
	return v, err
}

func (c *Client) references(s Schema) (map[string]string, error) {
	var out map[string]string
	for todo := s.References; len(todo) > 0; todo = todo[1:] {
		r := todo[0]
		if _, seen := out[r.Name]; seen {
			continue
		}
		v, err := c.version(r.Subject, strconv.Itoa(r.Version))
		if err != nil {
			return nil, fmt.Errorf("the reference %s: %w", r.Name, err)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[r.Name] = v.Text
		todo = append(todo[:len(todo):len(todo)], v.References...)
	}
	return out, nil
}

// do asks the registries in turn until one answers.
func (c *Client) do(method, path string, in, out any) error {
	var content []byte
	if in != nil {
		var err error
		if content, err = json.Marshal(in); err != nil {
			return err
		}
	}
	var last error
	for _, base := range c.urls {
		req, err := http.NewRequest(method, base+path, bytes.NewReader(content))
		if err != nil {
			return err
		}
		req.Header.Set("Accept", contentType)
		if in != nil {
			req.Header.Set("Content-Type", contentType)
		}
		if c.user != "" {
			req.SetBasicAuth(c.user, c.password)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			last = unavailable{fmt.Errorf("the Schema Registry at %s does not answer: %w (is ksql.schema.registry.url right, and is it running?)", base, err)}
			continue
		}
		return readAnswer(resp, base, out)
	}
	return last
}

func readAnswer(resp *http.Response, base string, out any) error {
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return unavailable{fmt.Errorf("the Schema Registry at %s broke off its answer: %w", base, err)}
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return unavailable{fmt.Errorf("the Schema Registry at %s refuses us (%s): check ksql.schema.registry.basic.auth.user.info", base, resp.Status)}
	case resp.StatusCode >= 300:
		e := &Error{}
		if json.Unmarshal(content, e) != nil || e.Code == 0 {
			return unavailable{fmt.Errorf("the Schema Registry at %s answered %s", base, resp.Status)}
		}
		return e
	}
	if err := json.Unmarshal(content, out); err != nil {
		return fmt.Errorf("what answers at %s is no Schema Registry: %w", base, err)
	}
	return nil
}
