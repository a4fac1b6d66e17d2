package live

import (
	"log/slog"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestReserve: a container that a command is to hit, or that a job has, is not removed by the sweep.
func TestReserve(t *testing.T) {
	g := NewRegistry(slog.New(slog.DiscardHandler), 1)
	c := dockerapi.Container{ID: "id", Name: "left"}
	stop := &Task{Name: "left", turn: turn{Order: newOrder(false)}}
	g.Add(stop)
	if _, ok := g.Reserve(c); ok {
		t.Error("reserved although a command is to hit it")
	}
	g.effective(stop.Order)
	g.Remove(stop)
	g.live[stop], stop.container = struct{}{}, "id"
	g.byContainer.add("id", stop)
	if _, ok := g.Reserve(c); ok {
		t.Error("reserved although somebody else has it")
	}
}
