package live

import (
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
)

// ErrCancelled ends a job whose end a message asked for before the job had started.
var ErrCancelled = errors.New("cancelled before it started: a message asked to stop or remove the job")

// CancelWaiting cancels a task, and reports whether it was waiting. A task that has begun ends before it creates its
// container, if it has none yet.
func (t *Task) CancelWaiting() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	waits := t.in.move(t, Cancelled)
	if (waits || t.Order.begun) && !t.WasCancelled() {
		close(t.Cancelled)
	}
	return waits
}

func (t *Task) WasCancelled() bool { return closed.Is(t.Cancelled) }

// Cancel remembers that a job must not run from that attempt on, if its message comes.
func (g *Registry) Cancel(id string, attempt int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancels.Put(recent.KeyOf(id), attempt, 1)
}

// cancelled reports whether a message that has come must not run, once for each cancel. g.mu is held.
func (g *Registry) cancelled(i identity.Identity) bool {
	from, ok := g.cancels.Get(recent.KeyOf(i.ID))
	if !ok || i.Attempt < from {
		return false
	}
	g.cancels.Drop(recent.KeyOf(i.ID))
	return true
}
