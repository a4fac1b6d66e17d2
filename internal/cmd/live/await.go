package live

import (
	"context"
	"sync/atomic"

	"github.com/mutaphore/docker-dispatch/internal/cmd/slots"
)

// AwaitPlace waits for a place among the runs and execs.
func (t *Task) AwaitPlace() error {
	t.RequestPlace()
	if t.share != nil { // a slot would stay unused meanwhile
		t.Awaits.Store("another job of its user to end (Max.Jobs of the policy)")
		if err := t.Await(t.share.Ready); err != nil {
			return err
		}
	}
	if t.slot == nil && !t.Control {
		t.slot = t.in.Slots.Request()
	}
	if t.slot == nil {
		return nil
	}
	t.Awaits.Store("a free place (--concurrency)")
	return t.Await(t.slot.Ready)
}

// RequestPlace requests a place for a run or an exec, unless it has been. A user's share comes before the slot.
func (t *Task) RequestPlace() {
	if t.share != nil || t.slot != nil {
		return
	}
	if s := t.in.shares.Of(t.User, t.Rules.Jobs()); s != nil {
		t.share = s.Request()
	} else if !t.Control {
		t.slot = t.in.Slots.Request()
	}
}

// Await waits for ready while the task has not begun. The error says that the task will not begin.
func (t *Task) Await(ready <-chan struct{}) error {
	_, err := AwaitEither(t, ready, (<-chan struct{})(nil))
	return err
}

// AwaitEither is await for one of two, and reports whether it was other.
func AwaitEither[T any](t *Task, ready <-chan struct{}, other <-chan T) (isOther bool, err error) {
	never := t.Reached(Forwarded)
	select {
	case <-ready:
		return false, nil
	case <-other:
		return true, nil
	case <-never:
		return false, t.NotBegun()
	case <-t.Cancelled:
		return false, ErrCancelled
	case <-t.Ctx.Done():
		return false, context.Cause(t.Ctx)
	}
}

// NotBegun returns why a task has not begun.
func (t *Task) NotBegun() error {
	switch at := t.At(); {
	case at == Forwarded:
		return t.WhyAway()
	case at == Requeued:
		return ErrNotBegun
	case t.WasCancelled():
		return ErrCancelled
	case t.Ctx.Err() != nil:
		return context.Cause(t.Ctx)
	}
	return ErrNotBegun
}

// A turn is a task's place among the other tasks.
type turn struct {
	seq     int64           // the job's number in the pool, in the queue's order
	Control bool            // its message came by the control queue
	Order   *Order          // the place among the commands on its container
	Earlier <-chan struct{} // closed when the earlier task of the same message is gone; may be nil
	share   *slots.Place    // requested from Registry.shares; nil: not yet, or the user has no limit
	slot    *slots.Place    // requested from Registry.Slots; nil: not yet
	Awaits  atomic.Value    // what it waits for before it is due, in words; none: its turn
}

// LeavePlace gives back the places that the task has or has requested.
func (t *Task) LeavePlace() {
	t.share.Release()
	t.slot.Release()
}
