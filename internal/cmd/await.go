package cmd

import (
	"context"
	"sync/atomic"

	"github.com/mutaphore/docker-dispatch/internal/cmd/slots"
)

// awaitPlace waits for a place among the runs and execs.
func (t *task) awaitPlace() error {
	t.requestPlace()
	if t.share != nil { // a slot would stay unused meanwhile
		t.awaits.Store("another job of its user to end (Max.Jobs of the policy)")
		if err := t.await(t.share.Ready); err != nil {
			return err
		}
	}
	if t.slot == nil && !t.control {
		t.slot = t.in.slots.Request()
	}
	if t.slot == nil {
		return nil
	}
	t.awaits.Store("a free place (--concurrency)")
	return t.await(t.slot.Ready)
}

// requestPlace requests a place for a run or an exec, unless it has been. A user's share comes before the slot.
func (t *task) requestPlace() {
	if t.share != nil || t.slot != nil {
		return
	}
	if s := t.in.shares.Of(t.User, t.rules.Jobs()); s != nil {
		t.share = s.Request()
	} else if !t.control {
		t.slot = t.in.slots.Request()
	}
}

// await waits for ready while the task has not begun. The error says that the task will not begin.
func (t *task) await(ready <-chan struct{}) error {
	_, err := awaitEither(t, ready, (<-chan struct{})(nil))
	return err
}

// awaitEither is await for one of two, and reports whether it was other.
func awaitEither[T any](t *task, ready <-chan struct{}, other <-chan T) (isOther bool, err error) {
	never := t.reached(phaseForwarded)
	select {
	case <-ready:
		return false, nil
	case <-other:
		return true, nil
	case <-never:
		return false, t.notBegun()
	case <-t.cancelled:
		return false, errCancelled
	case <-t.ctx.Done():
		return false, context.Cause(t.ctx)
	}
}

// notBegun returns why a task has not begun.
func (t *task) notBegun() error {
	switch at := t.at(); {
	case at == phaseForwarded:
		return t.whyAway()
	case at == phaseRequeued:
		return errNotBegun
	case t.wasCancelled():
		return errCancelled
	case t.ctx.Err() != nil:
		return context.Cause(t.ctx)
	}
	return errNotBegun
}

// A turn is a task's place among the other tasks.
type turn struct {
	seq     int64           // the job's number in the pool, in the queue's order
	control bool            // its message came by the control queue
	order   *order          // the place among the commands on its container
	earlier <-chan struct{} // closed when the earlier task of the same message is gone; may be nil
	share   *slots.Place    // requested from registry.shares; nil: not yet, or the user has no limit
	slot    *slots.Place    // requested from registry.slots; nil: not yet
	awaits  atomic.Value    // what it waits for before it is due, in words; none: its turn
}

// leavePlace gives back the places that the task has or has requested.
func (t *task) leavePlace() {
	t.share.Release()
	t.slot.Release()
}
