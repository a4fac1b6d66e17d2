package live

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
	allowed := map[Phase][]Phase{
		Waiting:   {Cancelled, Due, Ended, Recalled, Forwarded},
		Cancelled: {Ended, Gone},
		Due:       {Waiting, Begun, Ended, Forwarded, Gone},
		Begun:     {Created, Ended, Forwarded, Gone},
		Created:   {Started, Exited, Over, Ended, Gone},
		Started:   {Exited, Over, Ended, Gone},
		Exited:    {Started, Over, Ended, Gone},
		Over:      {Ended, Gone},
		Ended:     {Stored, Acked, Settled, Gone},
		Stored:    {Acked, Settled, Gone},
		Acked:     {Settled, Gone},
		Settled:   {Gone},
		Forwarded: {Gone},
		Recalled:  {Requeued},
		Requeued:  {Gone},
		Gone:      {},
	}
	if len(allowed) != int(Gone)+1 {
		t.Fatalf("%d phases are looked at", len(allowed))
	}
	for from := Waiting; from <= Gone; from++ {
		for to := Waiting; to <= Gone; to++ {
			g := NewRegistry(slog.New(slog.DiscardHandler), 1)
			x := &Task{Identity: identity.Of(intake.Job{Queue: "q"}), turn: turn{Order: newOrder(false)}}
			g.Add(x)
			if x.phase = from; from != Waiting {
				delete(g.waiting, x)
			}
			waits := map[Phase]<-chan struct{}{}
			for p := Waiting; p <= Gone; p++ {
				if waits[p] = x.Reached(p); closed.Is(waits[p]) != (p <= from) {
					t.Errorf("%v: %v is said to be reached: %v", from, p, p > from)
				}
			}
			may := slices.Contains(allowed[from], to)
			if x.To(to) != may {
				t.Errorf("%v -> %v: allowed %v, want %v", from, to, !may, may)
			}
			at := from
			if may {
				at = to
			}
			if x.At() != at {
				t.Errorf("%v -> %v: at %v, want %v", from, to, x.At(), at)
			}
			for p, w := range waits {
				if closed.Is(w) != (p <= max(from, at)) {
					t.Errorf("%v -> %v: who waits for %v is told: %v", from, to, p, closed.Is(w))
				}
			}
			if _, waiting := g.waiting[x]; waiting != (at == Waiting) {
				t.Errorf("%v -> %v: among those that wait: %v", from, to, waiting)
			}
		}
	}
}
