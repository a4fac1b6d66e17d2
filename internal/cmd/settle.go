package cmd

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// settle answers the deliveries of the task with the verdict on r, then cleans up. Which goes first
// is decided by how a redelivery would be known: a message with an id by its container, which
// must therefore outlive the message; one without only by the container's absence.
// The task stays known until no answer can be lost any more: a message that comes again joins it.
// It returns false where the process stops before all is done.
func (t *task) settle(r event.Result, cleanup func() error) (ok bool) {
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
	t.lingering.Store(true)
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
	if t.stored {
		v = Ack
	}
	t.pool.jobs.answers(t)
	return j.Settle(t.ctx, v, r)
}

// store has the broker keep what must be kept before a delivery is acked, as far as that has not been done:
// the result, for whoever wants it, and then the dead letter or the next attempt, where the verdict is one.
func (t *task) store(j Job, v Verdict, r event.Result) (err error) {
	if err := t.tell(j, r); err != nil {
		return err
	}
	switch {
	case t.stored:
		return nil
	case v == DeadLetter && j.Store != nil:
		t.pool.jobs.storing(t)
		err = j.Store(t.ctx, r)
	case v == TryAgain:
		t.pool.jobs.expect(t)
		err = j.Again(t.ctx, t.traits.Retry.DelayAfter(t.attempt), t.attempt+1, t.id)
	default:
		return nil
	}
	t.stored = err == nil
	return err
}

// tell sends the result to those who want it: behind all output.
func (t *task) tell(j Job, r event.Result) error {
	record, reply := j.Record != nil && !t.recorded, j.Reply != nil && !t.told[j.ReplyTo]
	if reply {
		if err := t.live.Flush(t.ctx); err != nil {
			return err
		}
	}
	if record {
		if err := j.Record(t.ctx, r); err != nil {
			return err
		}
		t.recorded = true
	}
	if reply {
		if err := j.Reply(t.ctx, r); err != nil {
			return err
		}
		t.told[j.ReplyTo] = true
	}
	return nil
}

// quietFor is how long a queue must have been consumed and empty before a message that was lost with its
// connection is known not to be in it: what the broker holds for a connection that it does not know to
// be dead comes back within twice the heartbeat. Where the broker has ended the connection itself it is releasedFor.
const (
	quietFor    = 2 * time.Minute
	releasedFor = 3 * time.Second
)

// What a wait for a message to come again ends with.
const (
	deliveryCame  = iota // it has come
	deliveryStays        // the queue does not have it any more
	deliveryNever        // no more messages are taken
)

// A message that is lost has goneAfter to come again before its result is sent without it. Whether it can come is
// looked at every goneLook; a stop waits for the last look no longer than lastLook.
const (
	goneAfter = time.Minute
	goneLook  = 5 * time.Second
	lastLook  = 3 * time.Second
)

// awaitDelivery waits for the message of a finished job to come again, however long the broker is away. What the
// message had asked for does not wait that long: see goneAfter.
func (t *task) awaitDelivery(v Verdict, r event.Result) int {
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-t.arrived:
			return deliveryCame
		case <-t.superseded:
			return deliveryStays
		case <-t.pool.stopping:
			if _, ok := t.pool.jobs.present(t); ok {
				return deliveryCame
			}
			if _, _, missing := t.pool.jobs.given(t); missing { // there will be nobody who sends its result later
				if t.sendGone(v, r, 0) != nil {
					return deliveryNever
				}
				return deliveryStays
			}
			ctx, cancel := context.WithTimeout(t.ctx, lastLook)
			defer cancel()
			if t.quiet(ctx, v, r) {
				return deliveryStays
			}
			return deliveryNever
		case <-t.ctx.Done():
			return deliveryNever
		case <-look.C:
			if err := t.sendGone(v, r, goneAfter); err != nil {
				return deliveryNever
			}
			if t.quiet(t.ctx, v, r) {
				return deliveryStays
			}
			look.Reset(goneLook)
		}
	}
}

// quiet tells whether the message of a task whose deliveries are lost is surely not in its queue any more. What
// sendGone has to send is not given up before its time.
func (t *task) quiet(ctx context.Context, v Verdict, r event.Result) bool {
	if t.pool.Quiet == nil {
		return false
	}
	consumed, ok := t.pool.jobs.quietAfter(t)
	if !ok {
		return false
	}
	if !t.allSent(v, r) {
		consumed = quietFor
	}
	_, quiet := t.pool.Quiet(ctx, consumed)
	return quiet
}

// sendGone sends what is to be sent for a message that does not come again: the result to all who want it, and
// the dead letter or the next attempt. Should the message come all the same, only its ack is left to do. It does
// nothing before the message has had its time.
func (t *task) sendGone(v Verdict, r event.Result, patience time.Duration) error {
	jobs, since, missing := t.pool.jobs.given(t)
	if since.IsZero() || time.Since(since) < patience || t.allSent(v, r) {
		return nil // the connection may end again meanwhile
	}
	v = t.goneVerdict(v, r)
	why := "it did not come again within a minute"
	if missing {
		why = "there is no such queue any more"
	}
	t.log.Warn("the message is gone: "+why+"; its result is sent all the same", "queue", t.queue, "container", t.name)
	for _, j := range jobs {
		if j.Abandon != nil {
			j.Abandon()
		}
		if err := t.store(j, v, r); err != nil && !errors.Is(err, ErrDeliveryLost) {
			return err
		}
	}
	return nil
}

// goneVerdict is the verdict on a message that does not come again.
func (t *task) goneVerdict(v Verdict, r event.Result) Verdict {
	if t.traits.Runs && v == DeadLetter && r.Reason == event.ReasonNoSuchContainer {
		return Ack // whoever has the message has done the job, and removed the container
	}
	return v
}

// allSent tells whether sendGone has nothing to do, now or later.
func (t *task) allSent(v Verdict, r event.Result) bool {
	jobs, _, _ := t.pool.jobs.given(t)
	v = t.goneVerdict(v, r)
	return !slices.ContainsFunc(jobs, func(j Job) bool { return t.unsent(j, v) })
}

// unsent tells whether store has something to do.
func (t *task) unsent(j Job, v Verdict) bool {
	return j.Record != nil && !t.recorded || j.Reply != nil && !t.told[j.ReplyTo] ||
		!t.stored && (v == DeadLetter && j.Store != nil || v == TryAgain)
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
	if id := t.container.Load(); id != nil {
		t.pool.jobs.retire(*id)
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
