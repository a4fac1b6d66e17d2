package cmd

import "context"

// A turn is a task's place among others.
type turn struct {
	seq     int64           // counts the jobs of the pool, in the queue's order
	control bool            // it came by the control queue
	order   *order          // the place among the commands on one container
	earlier <-chan struct{} // closed when the task is gone that has the same message, and whose end is waited for; may be nil
	slot    chan struct{}   // asked for among those of runs; nil: not yet
	held    *holders        // where the task is counted, see hold
}

// awaitTurn waits for the command before on the same container, for a slot where the command is a run,
// and for the engine.
func (t *task) awaitTurn() error {
	if t.holds() {
		if err := t.hold(); err != nil {
			return err
		}
	}
	if t.earlier != nil {
		if err := t.await(t.earlier); err != nil {
			return err
		}
	}
	if b := t.order.before.Load(); b != nil {
		if err := t.awaitBefore(b); err != nil {
			return err
		}
	}
	if err := t.awaitJob(); err != nil {
		return err
	}
	if !t.holds() { // any longer
		t.unhold()
	}
	if t.pool.away() { // since before we came, so that no change will tell
		t.pool.recall()
	}
	if t.traits.Lasts && !t.control {
		if t.slot == nil {
			t.slot = t.pool.slots.request()
		}
		if err := t.await(t.slot); err != nil {
			return err
		}
	}
	if !t.pool.begin(t) {
		return t.notBegun()
	}
	return nil
}

// await waits for ready while the task has not begun.
func (t *task) await(ready <-chan struct{}) error {
	_, err := awaitEither(t, ready, (<-chan struct{})(nil))
	return err
}

// awaitEither is await for one of two, and tells whether it was other.
func awaitEither[T any](t *task, ready <-chan struct{}, other <-chan T) (isOther bool, err error) {
	requeued := t.pool.jobs.reached(t, phaseRequeued)
	select {
	case <-ready:
		return false, nil
	case <-other:
		return true, nil
	case <-requeued:
		return false, errNotBegun
	case <-t.cancelled:
		return false, errCancelled
	case <-t.ctx.Done():
		return false, context.Cause(t.ctx)
	}
}

// notBegun is why a task has not begun.
func (t *task) notBegun() error {
	requeued := t.pool.jobs.at(t) == phaseRequeued
	if !requeued && t.wasCancelled() {
		return errCancelled
	}
	if !requeued && t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	return errNotBegun
}
