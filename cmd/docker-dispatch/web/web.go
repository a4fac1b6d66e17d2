// Package web serves what --listen offers, all of it read-only: /healthz, /readyz and /metrics for machines, and a page for
// people. Begin with [Serve]. What it shows comes from package status.
package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// Config is what the handlers need.
type Config struct {
	// Status returns what the daemon is doing.
	Status func() status.Status

	// Numbers is Status without the lists of jobs, and without how many messages wait. It waits for no server.
	Numbers func() status.Status

	// Measured is Numbers with how many messages wait, for which the broker is asked.
	Measured func() status.Status

	// JobLog writes the output of a job's container: its last lines, and what follows until the container exits or ctx ends.
	// Its error is cmd.ErrNoLog if there is nothing to read.
	JobLog func(ctx context.Context, job string, w io.Writer) error

	Log *slog.Logger
}

const (
	maxHeader   = 16 << 10         // bytes of a request's header
	headerTime  = 5 * time.Second  // for a client to send it
	idleTime    = 60 * time.Second // without a request on a connection
	mostClients = 256              // connections at a time
)

// Serve answers requests on l until ctx ends. It closes l, and ends the connections.
func Serve(ctx context.Context, l net.Listener, cfg Config) {
	s := &http.Server{
		Handler: Handler(cfg), ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: writeTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		ConnState:   (&connections{most: mostClients}).changed,
		ErrorLog:    slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	defer context.AfterFunc(ctx, func() { s.Close() })()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		cfg.Log.Error("--listen: requests are no longer answered", "error", err)
	}
}

// Handler returns the handler of all paths.
func Handler(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", healthz(cfg))
	mux.Handle("GET /readyz", ours(readyz(cfg)))
	mux.Handle("GET /metrics", metrics(cfg)) // by any name: Prometheus has names with dots, and no metric shows a job or an address
	addPage(mux, cfg)
	return mux
}
