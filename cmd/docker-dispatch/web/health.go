package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// healthz says that the process works: its state can be read. A restart would mend nothing else: an engine or a broker that is
// away is in readyz.
func healthz(cfg Config) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		cfg.Numbers()
		plain(w)
		fmt.Fprintln(w, "ok")
	}
}

// readyz says whether messages are taken and can be settled: each condition on a line, with its reason.
func readyz(cfg Config) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := cfg.Numbers()
		plain(w)
		if !s.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, Conditions(s))
	}
}

// Conditions returns the conditions of a daemon, one a line: those first that somebody has to look at.
func Conditions(s status.Status) string {
	var b strings.Builder
	for _, state := range []status.State{status.Unmet, status.Warning, status.Met} {
		for _, c := range s.Conditions {
			if c.State == state {
				fmt.Fprintf(&b, "%-8s %-12s %s\n", c.State, c.Name, c.Reason)
			}
		}
	}
	return b.String()
}

// answerTime bounds how long a client may take to read an answer. Otherwise clients that do not read would take all places.
const answerTime = 10 * time.Second

// plain prepares a short answer in plain text.
func plain(w http.ResponseWriter) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime)) // a test's recorder has none
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}
