package cmd

import (
	"cmp"
)

// awaitTurn waits for the earlier command on the container, and for the job that the command names. A run or an exec of
// the queue also waits for a slot. Without an error the task is due.
func (t *job) awaitTurn() error {
	if t.holds() && !t.pool.hosts.mayGoHome(&t.task) { // else it holds from its turn on
		if err := t.hold(); err != nil {
			return err
		}
	}
	if t.earlier != nil {
		t.awaits.Store("an earlier delivery of the message to end")
		if err := t.await(t.earlier); err != nil {
			return err
		}
	}
	if b := t.order.before.Load(); b != nil {
		t.awaits.Store("an earlier command on " + cmp.Or(t.name, "its container"))
		if err := t.awaitBefore(b); err != nil {
			return err
		}
	}
	t.awaits.Store("the job that it is for")
	if err := t.awaitJob(); err != nil {
		return err
	}
	if !t.holds() { // it held only while it waited
		t.unhold()
	}
	if t.pool.away() { // watchGate recalls at a change only, and this may be an old one
		t.pool.recall()
	}
	if t.traits.Lasts && !t.pool.hosts.misplaced(&t.task) {
		if err := t.awaitPlace(); err != nil {
			return err
		}
	}
	if err := t.awaitRoom(); err != nil {
		return err
	}
	t.awaits.Store("its turn")
	if !t.pool.begin(&t.task) {
		return t.notBegun()
	}
	return nil
}

// awaitRoom waits until the engine's disk has room for a container.
func (t *job) awaitRoom() error {
	if t.pool.room == nil || !t.traits.Makes {
		return nil
	}
	t.awaits.Store("room on the engine's disk (--min-free)")
	for {
		open, changed := t.pool.Room.State()
		if open {
			return nil
		}
		if err := t.await(changed); err != nil {
			return err
		}
	}
}
