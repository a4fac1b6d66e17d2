package cmd

import (
	"context"
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// settle answers the deliveries of the task with the verdict on r, then cleans up. Which goes first
// is decided by how a redelivery would be known: a message with an id by its container, which
// must therefore outlive the message; one without only by the container's absence.
// The task stays known until no answer can be lost any more: a message that comes again joins it.
// It returns false where the process stops before all is done.
func (t *task) settle(r event.Result) (ok bool) {
	cleanup := t.cleanup
	defer func() {
		if !ok && cleanup != nil {
			t.pool.staying.Add(1)
		}
	}()
	v := verdict(r)
	if cleanup != nil && !t.stable {
		// Between the removal and the ack nothing proves that the job is done: that must be short.
		if !t.storeFirst(v, r) || !t.clean(cleanup) {
			return false
		}
		cleanup = nil
	}
	for {
		fence, ok := t.answer(v, r)
		if !ok {
			return false
		}
		if fence != nil {
			if err := fence(t.ctx); errors.Is(err, ErrDeliveryLost) {
				t.log.Debug("connection ended behind the answer, which may be lost; waiting for the message to come again")
				continue
			} else if err != nil {
				return false
			}
		}
		t.pool.jobs.remember(t, v, r)
		t.tookEffect() // an ack that was lost would have brought the message to another process
		if cleanup != nil && fence != nil && v != DeadLetter {
			if err := t.linger(fence); errors.Is(err, ErrDeliveryLost) {
				t.log.Debug("connection ended shortly behind the answer, which may be lost; waiting for the message to come again")
				continue
			} else if err != nil {
				return false
			}
			if t.pool.jobs.waits(t) {
				continue
			}
		}
		if cleanup != nil {
			if !t.clean(cleanup) {
				return false
			}
			cleanup = nil
		}
		if t.pool.jobs.remove(t) {
			return true
		}
	}
}

// lingers is how long the container of a settled job outlives its ack: a broker that is killed can have
// forgotten what it has not written to its disk yet, which a busy classic queue is in no haste to do.
const lingers = 3 * time.Second

// linger waits until an ack is old enough, or the process is to stop, and makes sure that its connection
// has lived through that. The container's name can be had meanwhile.
func (t *task) linger(fence func(context.Context) error) error {
	if t.pool.lingers == 0 {
		return nil
	}
	t.pool.jobs.lingers(t)
	timer := time.NewTimer(t.pool.lingers)
	defer timer.Stop()
	select {
	case <-timer.C:
		return fence(t.ctx)
	case <-t.pool.stopping:
		return fence(t.ctx)
	case <-t.ctx.Done():
		return t.ctx.Err()
	}
}

// storeFirst keeps what is to be kept before a message is acked, so that only the ack is left to do. It waits for a
// delivery that is not lost, or until the message is gone: not in the queue any more. It returns false where
// the process stops before that.
func (t *task) storeFirst(v Verdict, r event.Result) bool {
	for {
		j, ok := t.pool.jobs.present(t)
		if !ok {
			switch t.awaitDelivery(v, r) {
			case deliveryStays:
				return true // nothing to keep a copy of
			case deliveryNever:
				return false
			}
			continue
		}
		var err error
		if j.Alive != nil { // else a process to which the message has come meanwhile would find no container
			err = j.Alive(t.ctx)
		}
		if err == nil {
			err = t.store(j, v, r)
		}
		if !errors.Is(err, ErrDeliveryLost) {
			return err == nil
		}
	}
}

// answer settles all deliveries that the task has, and waits for one where all are lost. It returns
// the fence of the last one that was settled, if that has one, and none where the queue does not have
// the message any more.
func (t *task) answer(v Verdict, r event.Result) (fence func(context.Context) error, ok bool) {
	for {
		found := false
		for _, j := range t.pool.jobs.take(t) {
			switch err := t.answerOne(j, v, r); {
			case err == nil:
				t.pool.jobs.to(t, phaseAcked)
				fence, found = j.Fence, true
			case errors.Is(err, ErrDeliveryLost):
				t.log.Debug("delivery lost before it was settled; waiting for the message to come again")
			default:
				return nil, false
			}
		}
		if found {
			return fence, true
		}
		t.tookEffect() // a message that is lost comes again to this task, and does nothing again
		t.pool.jobs.unanswered(t)
		switch t.awaitDelivery(v, r) {
		case deliveryStays:
			t.log.Debug("message does not come again: it was settled, or has gone another way")
			return nil, true
		case deliveryNever:
			return nil, false
		}
	}
}

// answerOne settles one delivery, which take has returned. A job has one dead letter, and one next attempt,
// however often its message comes.
func (t *task) answerOne(j Job, v Verdict, r event.Result) error {
	if j.lost() {
		t.pool.jobs.dropTaken(t)
		return ErrDeliveryLost // and nothing is stored: the message may be done elsewhere by now
	}
	if err := t.store(j, v, r); err != nil {
		t.pool.jobs.dropTaken(t)
		return err
	}
	if t.copied {
		v = Ack
	}
	t.pool.jobs.answers(t)
	return j.Settle(t.ctx, v, r)
}

// clean removes what the job leaves. It returns false where the process stops before that is done.
func (t *task) clean(cleanup func() error) bool {
	err := t.try(cleanup)
	switch {
	case err == nil:
		return true
	case final(err):
		return false
	}
	t.log.Error("container not removed; remove it by hand", "container", t.name, "error", err)
	if t.container != "" {
		t.pool.jobs.retire(t.container)
	}
	return true
}

// discard removes the job's container with its anonymous volumes.
func (t *task) discard(id string, force bool) error {
	err := t.pool.Docker.RemoveContainer(t.ctx, id, dockerapi.RemoveOptions{Volumes: true, Force: force})
	if errors.Is(err, dockerapi.ErrNoSuchContainer) || errors.Is(err, dockerapi.ErrRemovalInProgress) {
		return nil
	}
	return err
}
