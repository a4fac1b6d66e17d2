package cmd

import "cmp"

// awaitTurn waits for the earlier command on the container, and for the job that the command names. A run or an exec of
// the queue also waits for a slot. Without an error the task is due.
func (t *task) awaitTurn() error {
	if t.holds() && !t.pool.hosts.MayGoHome(&t.Task) { // else it holds from its turn on
		if err := t.hold(); err != nil {
			return err
		}
	}
	if t.Earlier != nil {
		t.Awaits.Store("an earlier delivery of the message to end")
		if err := t.Await(t.Earlier); err != nil {
			return err
		}
	}
	if b := t.Order.Before.Load(); b != nil {
		t.Awaits.Store("an earlier command on " + cmp.Or(t.Name, "its container"))
		if err := t.awaitBefore(b); err != nil {
			return err
		}
	}
	t.Awaits.Store("the job that it is for")
	if err := t.awaitJob(); err != nil {
		return err
	}
	if !t.holds() { // it held only while it waited
		t.unhold()
	}
	if t.pool.away() { // watchGate recalls at a change only, and this may be an old one
		t.pool.recall()
	}
	if t.Traits.Lasts && !t.pool.hosts.Misplaced(&t.Task) {
		if err := t.AwaitPlace(); err != nil {
			return err
		}
	}
	if err := t.awaitRoom(); err != nil {
		return err
	}
	t.Awaits.Store("its turn")
	if !t.pool.begin(&t.Task) {
		return t.NotBegun()
	}
	return nil
}

// awaitRoom waits until the engine's disk has room for a container.
func (t *task) awaitRoom() error {
	if t.pool.room == nil || !t.Traits.Makes {
		return nil
	}
	t.Awaits.Store("room on the engine's disk (--min-free)")
	for {
		open, changed := t.pool.Room.State()
		if open {
			return nil
		}
		if err := t.Await(changed); err != nil {
			return err
		}
	}
}
