package rest

import (
	"bufio"
	"net/http"
	"strings"

	"github.com/sidestream/sidestream/sidecar/engine"
	"github.com/sidestream/sidestream/sidecar/engine/types"
)

// rowWriter writes the rows of a query in one of the API's forms.
type rowWriter struct {
	w     *bufio.Writer
	flush func() error
	media string
	rows  *engine.Rows
	buf   []byte
	// proto writes rows as Protobuf messages, in their form only.
	proto protoRows
}

func newRowWriter(w http.ResponseWriter, media string, rows *engine.Rows) *rowWriter {
	rc := http.NewResponseController(w)
	out := &rowWriter{w: bufio.NewWriterSize(w, 16<<10), media: media, rows: rows}
	out.flush = func() error {
		if err := out.w.Flush(); err != nil {
			return err
		}
		return rc.Flush()
	}
	return out
}

func (o *rowWriter) header() error {
	b := o.buf[:0]
	if o.media == mediaProtobuf {
		return o.protoHeader()
	}
	if o.media == mediaV1 {
		b = append(b, `[{"header":{"queryId":`...)
		b = types.AppendJSONString(b, o.rows.ID)
		b = append(b, `,"schema":`...)
		b = types.AppendJSONString(b, o.rows.Schema())
		b = append(b, "}}"...)
	} else {
		if o.media == mediaJSON {
			b = append(b, '[')
		}
		b = append(b, `{"queryId":`...)
		b = types.AppendJSONString(b, o.rows.ID)
		b = append(b, `,"columnNames":[`...)
		for i, c := range o.rows.Columns {
			if i > 0 {
				b = append(b, ',')
			}
			b = types.AppendJSONString(b, c.Name)
		}
		b = append(b, `],"columnTypes":[`...)
		for i, c := range o.rows.Columns {
			if i > 0 {
				b = append(b, ',')
			}
			b = types.AppendJSONString(b, c.Type.String())
		}
		b = append(b, "]}"...)
		if o.media == mediaDelimited {
			b = append(b, '\n')
		}
	}
	return o.write(b)
}

func (o *rowWriter) write(b []byte) error {
	o.buf = b
	_, err := o.w.Write(b)
	return err
}

// row writes a row. The forms without a mark for deletions leave those out.
func (o *rowWriter) row(row []types.Value, tombstone bool) error {
	b := o.buf[:0]
	switch o.media {
	case mediaProtobuf:
		return o.protoRow(row, tombstone)
	case mediaV1:
		b = append(b, ",\n{\"row\":{\"columns\":"...)
		b = appendRow(b, row, o.rows.Columns)
		if tombstone {
			b = append(b, `,"tombstone":true`...)
		}
		b = append(b, "}}"...)
	case mediaJSON:
		if tombstone {
			return nil
		}
		b = appendRow(append(b, ','), row, o.rows.Columns)
	default:
		if tombstone {
			return nil
		}
		b = append(appendRow(b, row, o.rows.Columns), '\n')
	}
	return o.write(b)
}

// end writes what is behind the last row.
func (o *rowWriter) end(end engine.End) error {
	switch o.media {
	case mediaV1, mediaProtobuf:
		switch end {
		case engine.LimitReached:
			_ = o.write(append(o.buf[:0], ",\n{\"finalMessage\":\"Limit Reached\"}"...))
		case engine.Completed:
			_ = o.write(append(o.buf[:0], ",\n{\"finalMessage\":\"Query Completed\"}"...))
		}
		return o.write(append(o.buf[:0], ']'))
	case mediaJSON:
		return o.write(append(o.buf[:0], ']'))
	}
	return nil
}

// failed writes an error behind rows that were sent already.
func (o *rowWriter) failed(err error) error {
	b := marshal(bodyOf(asEngineError(err)))
	switch o.media {
	case mediaV1, mediaProtobuf:
		b = append(append([]byte(",\n{\"errorMessage\":"), b...), "}]"...)
	case mediaJSON:
		b = append(append([]byte(","), b...), ']')
	default:
		b = append(b, '\n')
	}
	return o.write(b)
}

// queryStream is POST /query-stream.
func (s *Server) queryStream(w http.ResponseWriter, r *http.Request) {
	media, ok := negotiate(r, mediaDelimited, mediaJSON, mediaV1, mediaProtobuf)
	if !ok {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	var body queryBody
	data, err := readAll(r)
	if err == nil {
		err = decode(data, &body, entityPackage+"QueryStreamArgs")
	}
	if err == nil && body.SQL == nil {
		err = missing(data, entityPackage+"QueryStreamArgs", "sql")
	}
	if err != nil {
		s.failStream(w, err)
		return
	}
	rows, printing, err := s.engine.Query(r.Context(), engine.Request{SQL: *body.SQL, Properties: body.Properties.values(), Variables: body.Variables})
	switch {
	case err != nil:
		s.failStream(w, err)
	case printing != nil && media != mediaDelimited:
		w.WriteHeader(http.StatusNotAcceptable)
	case printing != nil:
		s.print(w, r, printing, "", false)
	default:
		s.rows(w, media, rows)
	}
}

// oldQuery is POST /query.
func (s *Server) oldQuery(w http.ResponseWriter, r *http.Request) {
	media, ok := negotiate(r, mediaDelimited, mediaV1, mediaJSON, mediaProtobuf)
	if !ok {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	if media == mediaJSON {
		media = mediaV1
	}
	var body statementBody
	if err := read(r, &body, entityPackage+"KsqlRequest"); err != nil {
		s.fail(w, err, mediaJSON)
		return
	}
	rows, printing, err := s.engine.Query(r.Context(), body.request())
	switch {
	case err != nil:
		s.fail(w, oldQueryError(err), mediaJSON)
	case printing != nil && r.ProtoMajor > 1:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case printing != nil:
		s.print(w, r, printing, mediaJSON, true)
	default:
		s.rows(w, media, rows)
	}
}

// oldQueryError is an error as /query tells it: it has the brief message too, and
// refuses other statements before it looks at them.
func oldQueryError(err error) error {
	e := *asEngineError(err)
	switch {
	case e.NotAQuery:
		return engine.BadRequest("Statement type `io.confluent.ksql.parser.KsqlParser$PreparedStatement' not supported for this resource")
	case strings.HasPrefix(e.Brief, "line "):
		e.Message += "\nCaused by: " + e.Brief
	}
	return &e
}

// failStream answers as /query-stream does: chunked, without a content type.
func (s *Server) failStream(w http.ResponseWriter, err error) {
	contentType(w, "")
	e := asEngineError(err)
	w.WriteHeader(e.Status)
	http.NewResponseController(w).Flush()
	w.Write(marshal(bodyOf(e)))
}

// rows sends the rows of a query.
func (s *Server) rows(w http.ResponseWriter, media string, rows *engine.Rows) {
	defer rows.Close()
	w.Header().Set("Content-Type", media)
	out := newRowWriter(w, media, rows)
	if err := out.header(); err != nil {
		s.fail(w, engine.BadRequest("%v", err), mediaJSON)
		return
	}
	sent := 0
	// A push query's client must see the header at once; a pull query's rows and
	// end go out together where they fit.
	idle := func() error {
		if !rows.Push {
			return nil
		}
		return out.flush()
	}
	end, err := rows.Each(func(row []types.Value, tombstone bool) error {
		sent++
		return out.row(row, tombstone)
	}, idle)
	s.stats.rows(rows.Push, sent)
	if err != nil {
		s.log.Info("a query ended early", "query", rows.ID, "err", err)
		err = out.failed(err)
	} else {
		err = out.end(end)
	}
	if err == nil {
		_ = out.flush()
	}
}

// print sends the records of PRINT.
func (s *Server) print(w http.ResponseWriter, r *http.Request, p *engine.Printing, media string, headings bool) {
	release, err := p.Open()
	if err != nil {
		s.fail(w, err, media)
		return
	}
	defer release()
	contentType(w, media)
	rc := http.NewResponseController(w)
	out := bufio.NewWriter(w)
	flush := func() error {
		if err := out.Flush(); err != nil {
			return err
		}
		return rc.Flush()
	}
	if err := rc.Flush(); err != nil {
		return
	}
	err = p.Run(r.Context(), headings, func(line string) error {
		_, err := out.WriteString(line + "\n")
		return err
	}, func(quiet bool) error {
		if quiet && headings { // the older endpoint shows that it is there
			_ = out.WriteByte('\n')
		}
		return flush()
	})
	if err != nil {
		s.log.Info("PRINT ended early", "err", err)
	}
	_ = flush()
}

// closeQuery is POST /close-query.
func (s *Server) closeQuery(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ID *string `json:"queryId"`
	}
	const entity = entityPackage + "CloseQueryArgs"
	data, err := readAll(r)
	if err == nil {
		err = decode(data, &body, entity)
	}
	if err == nil && body.ID == nil {
		err = missing(data, entity, "queryId")
	}
	if err == nil && !s.engine.CloseQuery(*body.ID) {
		err = engine.BadRequest("No query with id %s", *body.ID)
	}
	if err != nil {
		s.fail(w, err, "")
		return
	}
	contentType(w, "")
	w.WriteHeader(http.StatusOK)
}
