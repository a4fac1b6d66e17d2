package web

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// A page answers the requests of browsers: what the daemon is doing, one job with its log, and what changes of them.
type page struct {
	cfg       Config
	templates *template.Template
	latest    latest
	streams   chan struct{} // a place for each stream of events
	logs      chan struct{} // a place for each log that is followed
}

const (
	mostStreams = 64 // a browser has one for each page that it shows
	mostLogs    = 8  // each holds a connection to the engine
)

//go:embed page.html
var pageText string

// addPage adds the paths of the page. Links on it are relative: a proxy may put it below another path.
func addPage(mux *http.ServeMux, cfg Config) {
	p := &page{
		cfg:     cfg,
		streams: make(chan struct{}, mostStreams), logs: make(chan struct{}, mostLogs),
		templates: template.Must(template.New("page.html").Funcs(template.FuncMap{"name": name, "sentence": sentence, "whole": whole, "number": number}).Parse(pageText)),
	}
	p.latest.page = p
	for path, answer := range map[string]http.HandlerFunc{"/{$}": p.index, "/job": p.job, "/events": p.events, "/log": p.log} {
		mux.Handle("GET "+path, guard(answer))
	}
}

// index shows what the daemon is doing.
func (p *page) index(w http.ResponseWriter, r *http.Request) {
	p.write(w, http.StatusOK, "index", *p.latest.get(r.Context()).view)
}

// job shows one job.
func (p *page) job(w http.ResponseWriter, r *http.Request) {
	v := p.latest.get(r.Context()).view.of(r.URL.Query().Get("id"))
	code := http.StatusOK
	if len(v.Job.Entries) == 0 {
		code = http.StatusNotFound
	}
	p.write(w, code, "jobpage", *v)
}

// write answers with a whole page. Only the style and the script of the file itself have its nonce.
func (p *page) write(w http.ResponseWriter, code int, name string, v view) {
	v.Nonce = rand.Text()
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, name, &v); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", fmt.Sprintf("default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%[1]s'; connect-src 'self'; img-src data:; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'", v.Nonce))
	w.WriteHeader(code)
	w.Write(b.Bytes())
}

// guard adds the headers that keep other sites away, and refuses the requests that they have a browser make under a name of
// theirs.
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
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && local.IP.IsLoopback() && !ownName(r.Host) {
			http.Error(w, "on a loopback address the page answers to localhost and to IP addresses only: use one of them in the URL, or have the proxy send it as Host", http.StatusMisdirectedRequest)
			return
		}
		answer(w, r)
	})
}

// ownName reports whether a Host can mean only this machine. Any other name may be one whose owner points it here: then the
// owner's site could read the page in a browser on this machine (DNS rebinding).
func ownName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost")
}
