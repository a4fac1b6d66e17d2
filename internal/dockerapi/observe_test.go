package dockerapi

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestObserve: each request is told with its route, never with a name or an id, and with its answer's status.
func TestObserve(t *testing.T) {
	c := serve(t, "unix", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == "GET":
			http.Error(w, `{"message":"no such container"}`, 404)
		case answerPing(w, r):
		default: // no answer
			panic(http.ErrAbortHandler)
		}
	})
	type told struct {
		route  string
		status int
	}
	var all []told
	c.observe = func(route string, status int, took time.Duration) {
		if took <= 0 {
			t.Errorf("%s took %v", route, took)
		}
		all = append(all, told{route, status})
	}
	ctx := background(t)
	c.Ping(ctx)
	c.InspectContainer(ctx, "web")
	c.KillContainer(ctx, "web", "TERM")
	want := []told{{"HEAD /_ping", 200}, {"GET /containers/{id}/json", 404}, {"POST /containers/{id}/kill", 0}}
	if !slices.Equal(all, want) {
		t.Errorf("told %v, want %v", all, want)
	}
}
