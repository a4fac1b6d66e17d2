package live

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
	g := NewRegistry(slog.New(slog.DiscardHandler), 1)
	long := strings.Repeat("x", 255)
	settle := func(i int) identity.Identity {
		ident := identity.Of(intake.Job{Queue: "q", MessageID: fmt.Sprint(i, long)[:255], Body: []byte(fmt.Sprint(i))})
		task := &Task{Identity: ident, Told: map[string]bool{long: true}, phase: Ended}
		g.Remember(task, intake.Ack, &event.Result{Job: ident.ID, ContainerName: long, Error: strings.Repeat("e", 1000), Stdout: long})
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
	if k, _, _ := g.Recognise(last, intake.Job{}); k != Finished || !g.Knew("q", last.ID) {
		t.Error("the last one is not known")
	}
	for i := range 2 * MostCancels {
		g.Cancel(fmt.Sprint(i), 1)
	}
	if n, _ := g.cancels.Size(); n != MostCancels || !g.cancelled(identity.Identity{ID: fmt.Sprint(2*MostCancels - 1), Attempt: 1}) {
		t.Errorf("%d cancels are remembered", n)
	}
}
