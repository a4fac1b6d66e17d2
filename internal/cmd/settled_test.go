package cmd

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestSettledJobsAreBounded: the memory of settled jobs is bounded, also if messages have long ids and names, and ask for
// answers. The latest jobs are known.
func TestSettledJobsAreBounded(t *testing.T) {
	g := newRegistry(slog.New(slog.DiscardHandler), 1)
	long := strings.Repeat("x", 255)
	settle := func(i int) identity.Identity {
		ident := identity.Of(intake.Job{Queue: "q", MessageID: fmt.Sprint(i, long)[:255], Body: []byte(fmt.Sprint(i))})
		task := &task{Identity: ident, told: map[string]bool{long: true}, phase: phaseEnded}
		g.remember(task, intake.Ack, &event.Result{Job: ident.ID, ContainerName: long, Error: strings.Repeat("e", 1000), Stdout: long})
		return ident
	}
	var last identity.Identity
	for i := range 50_000 {
		last = settle(i)
	}
	done, _ := g.done.Size()
	settled, _ := g.settled.Size()
	if _, held := g.results.Size(); held > resultBytes || done > mostSettled || settled > mostSettled {
		t.Errorf("%d are remembered, with %d bytes", done, held)
	}
	if k, _, _ := g.recognise(last, intake.Job{}); k != finished || !g.knew("q", last.ID) {
		t.Error("the last one is not known")
	}
	for i := range 2 * mostCancels {
		g.cancel(fmt.Sprint(i), 1)
	}
	if n, _ := g.cancels.Size(); n != mostCancels || !g.cancelled(identity.Identity{ID: fmt.Sprint(2*mostCancels - 1), Attempt: 1}) {
		t.Errorf("%d cancels are remembered", n)
	}
}
