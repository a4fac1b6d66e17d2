package cmd

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestPhases: a task goes where the table says, and nowhere else; whoever waits for a phase is told when it is reached or
// passed, and not before; and those that wait for their turn are known, at each step.
func TestPhases(t *testing.T) {
	allowed := map[phase][]phase{
		phaseWaiting:   {phaseCancelled, phaseDue, phaseEnded, phaseRecalled, phaseForwarded},
		phaseCancelled: {phaseEnded, phaseGone},
		phaseDue:       {phaseWaiting, phaseBegun, phaseEnded, phaseForwarded, phaseGone},
		phaseBegun:     {phaseCreated, phaseEnded, phaseForwarded, phaseGone},
		phaseCreated:   {phaseStarted, phaseExited, phaseOver, phaseEnded, phaseGone},
		phaseStarted:   {phaseExited, phaseOver, phaseEnded, phaseGone},
		phaseExited:    {phaseStarted, phaseOver, phaseEnded, phaseGone},
		phaseOver:      {phaseEnded, phaseGone},
		phaseEnded:     {phaseStored, phaseAcked, phaseSettled, phaseGone},
		phaseStored:    {phaseAcked, phaseSettled, phaseGone},
		phaseAcked:     {phaseSettled, phaseGone},
		phaseSettled:   {phaseGone},
		phaseForwarded: {phaseGone},
		phaseRecalled:  {phaseRequeued},
		phaseRequeued:  {phaseGone},
		phaseGone:      {},
	}
	if len(allowed) != int(phaseGone)+1 {
		t.Fatalf("%d phases are looked at", len(allowed))
	}
	for from := phaseWaiting; from <= phaseGone; from++ {
		for to := phaseWaiting; to <= phaseGone; to++ {
			g := newRegistry(slog.New(slog.DiscardHandler), 1)
			x := &task{Identity: identity.Of(intake.Job{Queue: "q"}), turn: turn{order: newOrder(false)}}
			g.add(x)
			if x.phase = from; from != phaseWaiting {
				delete(g.waiting, x)
			}
			waits := map[phase]<-chan struct{}{}
			for p := phaseWaiting; p <= phaseGone; p++ {
				if waits[p] = x.reached(p); closed.Is(waits[p]) != (p <= from) {
					t.Errorf("%v: %v is said to be reached: %v", from, p, p > from)
				}
			}
			may := slices.Contains(allowed[from], to)
			if x.to(to) != may {
				t.Errorf("%v -> %v: allowed %v, want %v", from, to, !may, may)
			}
			at := from
			if may {
				at = to
			}
			if x.at() != at {
				t.Errorf("%v -> %v: at %v, want %v", from, to, x.at(), at)
			}
			for p, w := range waits {
				if closed.Is(w) != (p <= max(from, at)) {
					t.Errorf("%v -> %v: who waits for %v is told: %v", from, to, p, closed.Is(w))
				}
			}
			if _, waiting := g.waiting[x]; waiting != (at == phaseWaiting) {
				t.Errorf("%v -> %v: among those that wait: %v", from, to, waiting)
			}
		}
	}
}
