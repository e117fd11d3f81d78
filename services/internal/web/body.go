package web

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
)

// ReadJSON reads a request's body. It takes application/json and any +json,
// in UTF-8 and not compressed, of at most limit bytes, sent within the time.
// It doesn't look at what the body says. Problems are 408, 413 and 415.
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, within time.Duration) ([]byte, *Problem) {
	if p := checkMediaType(r); p != nil {
		return nil, p
	}
	tooLarge := &Problem{Code: "too-large", Status: http.StatusRequestEntityTooLarge,
		Detail: fmt.Sprintf("The body is larger than %d bytes.", limit)}
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	rc := http.NewResponseController(w)
	bounded := within > 0 && rc.SetReadDeadline(time.Now().Add(within)) == nil
	size := r.ContentLength
	if size < 0 {
		size = 512
	}
	b := make([]byte, 0, size+1) // one more, so that the last Read finds room to say EOF
	body := http.MaxBytesReader(w, r.Body, limit)
	for {
		n, err := body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case err == nil:
			if len(b) == cap(b) {
				b = append(b, 0)[:len(b)]
			}
			continue
		case errors.Is(err, io.EOF):
			if bounded { // else it stays, for the server reads the rest of a body that failed
				_ = rc.SetReadDeadline(time.Time{}) // it could be set before
			}
			return b, nil
		}
		var most *http.MaxBytesError
		if errors.As(err, &most) {
			return nil, tooLarge
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			w.Header().Set("Connection", "close")
			return nil, &Problem{Code: "slow-body", Status: http.StatusRequestTimeout,
				Detail: fmt.Sprintf("The body didn't come within %v.", within)}
		}
		return nil, &Problem{Code: "malformed", Status: http.StatusBadRequest, Detail: "The body couldn't be read: " + err.Error()}
	}
}

func checkMediaType(r *http.Request) *Problem {
	unsupported := func(detail string) *Problem {
		return &Problem{Code: "unsupported-media-type", Status: http.StatusUnsupportedMediaType, Detail: detail}
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return unsupported(fmt.Sprintf("Content-Encoding %q isn't supported: send the body uncompressed.", enc))
	}
	ct := r.Header.Get("Content-Type")
	if ct == "application/json" {
		return nil
	}
	media, params, err := mime.ParseMediaType(ct)
	if err != nil || (media != "application/json" && !(strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))) {
		if ct == "" {
			return unsupported("The request has no Content-Type: send application/json.")
		}
		return unsupported(fmt.Sprintf("Content-Type %q isn't supported: send application/json.", ct))
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		return unsupported(fmt.Sprintf("charset %q isn't supported: JSON is UTF-8.", cs))
	}
	return nil
}
