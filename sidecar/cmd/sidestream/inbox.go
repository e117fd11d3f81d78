package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func inboxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "A page of the mails that a Mailpit has taken",
		Long: `Serves a page that lists the mails of a Mailpit, newest first, and passes all
other requests on to it. Mailpit as a Go module comes without its own pages.`,
		Example: "  sidestream inbox --listen 127.0.0.1:8025 --mailpit http://127.0.0.1:8026",
		Args:    cobra.NoArgs,
	}
	listen := cmd.Flags().String("listen", "127.0.0.1:8025", "where the page is served")
	mailpit := cmd.Flags().String("mailpit", "http://127.0.0.1:8026", "the Mailpit")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		at, err := url.Parse(*mailpit)
		if err != nil || at.Host == "" {
			return fmt.Errorf("--mailpit %q: give an address as http://127.0.0.1:8026", *mailpit)
		}
		l, err := net.Listen("tcp", *listen)
		if err != nil {
			return fmt.Errorf("can't listen on %s: %w", *listen, err)
		}
		server := &http.Server{Handler: newInbox(at), ReadHeaderTimeout: 10 * time.Second}
		go func() {
			<-cmd.Context().Done()
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			_ = server.Shutdown(ctx) // requests that take longer are cut off
		}()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
	return cmd
}

// mails are a page of Mailpit's list.
type mails struct {
	Total    int `json:"total"`
	Start    int `json:"start"`
	Messages []struct {
		ID      string
		Subject string
		Created time.Time
		To      []struct{ Name, Address string }
	} `json:"messages"`
	Back, On int // where the pages before and behind begin; -1 if there is none
}

const mailsPerPage = 50

var inboxPage = template.Must(template.New("inbox").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Inbox</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #8886 }
nav a { margin-right: 1rem }
</style>
</head>
<body>
<h1>Inbox</h1>
<p>{{.Total}} mails. <a href="/">Look again</a></p>
<table>
<thead><tr><th scope="col">Came (UTC)</th><th scope="col">To</th><th scope="col">Subject</th></tr></thead>
<tbody>{{range .Messages}}
<tr><td>{{.Created.UTC.Format "15:04:05"}}</td><td>{{range .To}}{{.Address}} {{end}}</td><td><a href="/view/{{.ID}}.html">{{.Subject}}</a> (<a href="/view/{{.ID}}.txt">text</a>)</td></tr>{{end}}
</tbody>
</table>
<nav aria-label="Pages">{{if ge .Back 0}}<a href="/?start={{.Back}}" rel="prev">Newer</a>{{end}}{{if ge .On 0}}<a href="/?start={{.On}}" rel="next">Older</a>{{end}}</nav>
</body>
</html>
`))

func newInbox(mailpit *url.URL) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(mailpit) }})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		start, _ := strconv.Atoi(r.URL.Query().Get("start")) // anything else is the first page
		page, err := readMails(r.Context(), mailpit, max(0, start))
		if err != nil {
			http.Error(w, "Mailpit doesn't answer: "+err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = inboxPage.Execute(w, page) // a client that went away needs no answer
	})
	return mux
}

func readMails(ctx context.Context, mailpit *url.URL, start int) (*mails, error) {
	at := mailpit.JoinPath("/api/v1/messages")
	at.RawQuery = fmt.Sprintf("start=%d&limit=%d", start, mailsPerPage)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", at, resp.Status)
	}
	m := &mails{Back: -1, On: -1}
	if err := json.NewDecoder(resp.Body).Decode(m); err != nil {
		return nil, err
	}
	if m.Start > 0 {
		m.Back = max(0, m.Start-mailsPerPage)
	}
	if next := m.Start + len(m.Messages); next < m.Total && len(m.Messages) > 0 {
		m.On = next
	}
	return m, nil
}
