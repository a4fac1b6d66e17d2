package live

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
)

// ComesDue makes a waiting task due, unless it must be requeued.
func (t *Task) ComesDue() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return !t.goesBack() && t.in.move(t, Due)
}

// goesBack reports whether a task must be requeued even while others may begin: the command before it was requeued, or
// all its deliveries are lost, and another consumer may have the message. The registry's mutex is held.
func (t *Task) goesBack() bool {
	b := t.Order.Before.Load()
	return b != nil && b.GivenBack.Load() || t.orphaned()
}

// Recalls moves the tasks that are to be requeued to Recalled, and returns them, oldest first.
func (g *Registry) Recalls(all bool) []*Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch := slices.SortedFunc(maps.Keys(g.waiting), func(a, b *Task) int { return cmp.Compare(a.seq, b.seq) })
	chosen := make(map[*Order]bool)
	return slices.DeleteFunc(batch, func(t *Task) bool {
		b := t.Order.Before.Load()
		switch {
		case b != nil && chosen[b]:
		case b != nil && !b.TookEffect():
			return true
		case !all && !t.goesBack():
			return true
		}
		chosen[t.Order] = true
		return !g.move(t, Recalled)
	})
}

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

// WasCancelled reports whether a message asked for the job's end before its container was created.
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

// ErrElsewhere ends a task that has no result here.
var ErrElsewhere = errors.New("the job is another host's")

// An Elsewhere is an ErrElsewhere with what becomes of the messages: they are forwarded, or requeued because the claim leads to no
// host, or acked because the job was settled meanwhile, or put back because no host may run the job.
type Elsewhere struct {
	Verdict intake.Verdict
	To      intake.Claim
}

func (e *Elsewhere) Error() string { return ErrElsewhere.Error() }

func (e *Elsewhere) Is(target error) bool { return target == ErrElsewhere }

// Moves records that the task has no result here, and returns why: a stop that has cancelled it is to follow it.
func (t *Task) Moves(e *Elsewhere) error {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.away = e
	return e
}

// WhyAway returns why a task has no result here; nil: it has one, or is to have one.
func (t *Task) WhyAway() *Elsewhere {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.away
}

// ForwardsTo moves a waiting task to Forwarded.
func (t *Task) ForwardsTo(to intake.Claim) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.phase == Waiting && (t.From == nil || t.From.Hops < intake.MostHops) && t.in.move(t, Forwarded) {
		t.away = &Elsewhere{intake.Forward, to}
	}
}

// sentHome reports whether a delivery is the copy of a message that t has sent to this host's own queue. Registry.mu is held.
func (t *Task) sentHome(j intake.Job) bool {
	return j.Forwarded != nil && t.away != nil && t.away.To.Ours
}
