package main

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// engineCalls counts the calls of the engine, by route and status.
type engineCalls struct {
	mu sync.Mutex
	of map[engineCall]*status.Histogram // guarded by mu
}

type engineCall struct {
	route  string
	status int
}

// observe is a dockerapi.Options.Observe. The engine chooses the status: one that HTTP does not define counts as the first
// of its class, and no HTTP status as none. So there are about 60.
func (e *engineCalls) observe(route string, code int, took time.Duration) {
	if code < 100 || code > 599 {
		code = 0
	} else if http.StatusText(code) == "" {
		code -= code % 100
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = make(map[engineCall]*status.Histogram)
	}
	h := e.of[engineCall{route, code}]
	if h == nil {
		h = new(status.Histogram)
		e.of[engineCall{route, code}] = h
	}
	h.Add(took)
}

// list returns the calls, by route and status.
func (e *engineCalls) list() []status.Call {
	e.mu.Lock()
	defer e.mu.Unlock()
	var calls []status.Call
	for k, h := range e.of {
		calls = append(calls, status.Call{Route: k.route, Status: k.status, Took: *h})
	}
	slices.SortFunc(calls, func(a, b status.Call) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Status, b.Status))
	})
	return calls
}
