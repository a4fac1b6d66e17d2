package web

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
)

// A page answers the requests of browsers: what the daemon is doing, one job with its log, and what changes of them.
type page struct {
	cfg     Config
	policy  string // the Content-Security-Policy of whole pages
	latest  latest
	streams chan struct{} // a place for each stream of events
	logs    chan struct{} // a place for each log that is followed
}

const (
	mostStreams = 64 // a browser has one for each page that it shows
	mostLogs    = 8  // each holds a connection to the engine
)

// style and script are those of every page.
var (
	//go:embed page.css
	style markup
	//go:embed page.js
	script markup
)

// addPage adds the paths of the page. Links on it are relative: a proxy may put it below another path.
func addPage(mux *http.ServeMux, cfg Config) {
	p := &page{
		cfg: cfg,
		policy: fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; connect-src 'self'; img-src data:; "+
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'", source(style), source(script)),
		latest:  latest{status: cfg.Status},
		streams: make(chan struct{}, mostStreams), logs: make(chan struct{}, mostLogs),
	}
	for path, answer := range map[string]http.HandlerFunc{"/{$}": p.index, "/job": p.job, "/events": p.events, "/log": p.log} {
		mux.Handle("GET "+path, guard(ours(answer)))
	}
}

// source returns the policy's name for a style or a script: its hash. A browser applies no other.
func source(m markup) string {
	sum := sha256.Sum256([]byte(m))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// index shows what the daemon is doing.
func (p *page) index(w http.ResponseWriter, r *http.Request) {
	p.answer(w, http.StatusOK, p.latest.get().view.index)
}

// job shows one job.
func (p *page) job(w http.ResponseWriter, r *http.Request) {
	v := p.latest.get().view.of(r.URL.Query().Get("id"))
	code := http.StatusOK
	if len(v.entries) == 0 {
		code = http.StatusNotFound
	}
	p.answer(w, code, v.jobPage)
}

// answer answers with a whole page.
func (p *page) answer(w http.ResponseWriter, code int, write func(*htmlWriter)) {
	body := written(write)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", p.policy)
	w.WriteHeader(code)
	io.WriteString(w, body)
}

// guard adds the headers that keep other sites away.
func guard(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		answer(w, r)
	})
}
