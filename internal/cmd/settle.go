package cmd

import (
	"errors"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
)

// settle answers the deliveries of the task with the verdict on r, then cleans up. Without a message_id it cleans up
// first. A redelivered message with an id is known by its container, which must therefore outlive the message. Without
// an id, a container that exists must belong to an unsettled message, so it is removed before the ack.
// The task stays registered until no answer can be lost any more: a redelivered message joins it.
// settle returns false if the process stops before all is done.
func (t *task) settle(r *event.Result) (ok bool) {
	defer func() {
		if !ok && t.untidy() {
			t.pool.staying.Add(1)
		}
	}()
	for v := verdict(r); ; {
		j, ok := t.answer(v, r)
		if !ok {
			return false
		}
		if j.Fence != nil {
			if err := j.Fence(t.Ctx); errors.Is(err, intake.ErrDeliveryLost) {
				t.Log.Debug("connection ended after the ack was written, which may be lost; waiting for a redelivery")
				continue
			} else if err != nil {
				return false
			}
		}
		t.pool.jobs.Remember(&t.Task, v, r)
		t.TakesEffect() // not before: after a lost ack, another process would carry out the command a second time
		if t.untidy() && j.Fence != nil && v != intake.DeadLetter {
			if err := t.linger(j); errors.Is(err, intake.ErrDeliveryLost) {
				t.Log.Debug("connection ended shortly after the ack was written, which may be lost; waiting for a redelivery")
				continue
			} else if err != nil {
				return false
			}
			if t.HasMore() {
				continue
			}
		}
		if t.Keys.Ends() && !t.LeavesContainer() {
			joined, err := t.pool.hosts.AwaitNote(&t.Task)
			if errors.Is(err, hosts.ErrNoNote) {
				err = t.withoutNote(v)
			}
			if err != nil {
				return false
			} else if joined {
				continue
			}
		}
		if t.tidy() != nil {
			return false
		}
		if t.pool.jobs.Remove(&t.Task) {
			return true
		}
	}
}

// linger waits until an ack that a fence has seen is old enough. Then it checks that the connection has survived. If the
// process is to stop, another fence must do. Meanwhile another run can have the container's name.
func (t *task) linger(j intake.Job) error {
	if t.pool.lingers == 0 {
		return nil
	}
	t.Lingers()
	timer := time.NewTimer(t.pool.lingers)
	defer timer.Stop()
	select {
	case <-timer.C:
		return j.Alive(t.Ctx)
	case <-t.pool.stopping:
		return j.Fence(t.Ctx)
	case <-t.Ctx.Done():
		return t.Ctx.Err()
	}
}

// answer settles all deliveries of the task, and waits for a redelivery if all are lost. It returns the last delivery
// settled, or a zero Job if awaitDelivery returns deliveryStays. ok is false if the process stops first.
func (t *task) answer(v intake.Verdict, r *event.Result) (last intake.Job, ok bool) {
	for {
		found := false
		for _, j := range t.Take() {
			switch err := t.answerOne(j, v, r); {
			case err == nil:
				t.To(live.Acked)
				last, found = j, true
			case errors.Is(err, intake.ErrDeliveryLost):
				t.Log.Debug("delivery lost before it was settled; waiting for a redelivery")
			default:
				return last, false
			}
		}
		if found {
			return last, true
		}
		t.TakesEffect() // a redelivery of a lost message joins this task, and does nothing a second time
		t.Unanswered()
		switch t.awaitDelivery(v, r) {
		case deliveryStays:
			t.Log.Debug("message will not be redelivered: it was settled, or another task has it")
			return last, t.pool.hosts.Outlasts(&t.Task) == nil
		case deliveryNever:
			return last, false
		}
	}
}

// answerOne settles one delivery that take has returned. A job has one dead letter and one next attempt, however often
// its message is delivered.
func (t *task) answerOne(j intake.Job, v intake.Verdict, r *event.Result) error {
	if j.IsLost() {
		t.Next(false)
		return intake.ErrDeliveryLost // nothing is stored, because another process may have done the job by now
	}
	early := t.untidy() && !t.Stable
	var err error
	if early && j.Alive != nil { // otherwise another process may have the message, find no container, and run it again
		err = j.Alive(t.Ctx)
	}
	if err == nil {
		err = t.store(j, v, r)
	}
	if err == nil && early {
		err = t.tidy() // if the process dies before the ack, the redelivered message runs again: keep that time short
		if err == nil && j.IsLost() {
			err = intake.ErrDeliveryLost // an answer that is about to be written keeps the redelivery from joining
		}
	}
	if err != nil {
		t.Next(false)
		return err
	}
	if t.copied {
		v = intake.Ack
	}
	t.Next(true)
	return j.Settle(t.Ctx, v, *r)
}

// untidy reports whether the job's container is still to be removed.
func (t *task) untidy() bool { return t.Cleanup != nil && !t.tidied }

// tidy gives up the job's claims, then removes its container, unless that was done. Its error is final.
func (t *task) tidy() error {
	err := t.pool.hosts.EndClaims(t.Ctx, &t.Task, false)
	if err != nil || !t.untidy() {
		return err
	}
	err = t.Clean(t.Cleanup)
	t.tidied = err == nil
	return err
}

// verdict returns the verdict on a message with the result r. Only answerOne and goneVerdict change it later, to Ack.
func verdict(r *event.Result) intake.Verdict {
	switch {
	case r.Retrying:
		return intake.TryAgain
	case r.Status == event.Succeeded, r.Status == event.Stopped, r.Status == event.Failed && !r.Spent, r.Reason == event.ReasonCancelled:
		return intake.Ack
	}
	return intake.DeadLetter
}

// withoutNote prepares the end of a task whose note has not come. A container to be removed stays with its claims, as one that a crash
// left: the sweep removes it once no message can ask for it. Without a container the job's claim is held for a while. So commands by Job
// and a dead letter that is sent again do not wait for ever.
func (t *task) withoutNote(v intake.Verdict) error {
	t.Log.Info(hosts.ErrNoNote.Error()+"; what is left of the job stays for a while", "container", t.Name)
	switch {
	case t.untidy() && t.ContainerID() != "" && v != intake.DeadLetter: // else it has never started
		t.tidied = true
		return t.pool.hosts.EndClaims(t.Ctx, &t.Task, true)
	case t.Keys.Holds(t.JobKey(t.ID)):
		_, err := t.pool.hosts.ClaimLasting(&t.Task, t.ID)
		return err
	}
	return nil
}

// An outbox is how much of what is published about a job has been, besides told.
type outbox struct {
	recorded bool // the results queue has the result
	copied   bool // the broker has stored the dead letter, or the next attempt
}

// store publishes everything that must be stored before a delivery is acked, and was not stored yet. First comes the
// result, see tell; then the dead letter or the next attempt, if the verdict asks for one.
func (t *task) store(j intake.Job, v intake.Verdict, r *event.Result) (err error) {
	if err := t.tell(j, r); err != nil {
		return err
	}
	switch {
	case t.copied:
		return nil
	case v == intake.DeadLetter && j.Store != nil:
		t.Storing()
		err = j.Store(t.Ctx, *r)
	case v == intake.TryAgain:
		if err := t.pool.hosts.Gathers(&t.Task); err != nil {
			return err
		}
		t.pool.jobs.Expect(&t.Task, r)
		err = j.Again(t.Ctx, t.Traits.Retry.DelayAfter(t.Attempt), t.Attempt+1, t.ID)
	}
	if err == nil {
		t.copied = copies(j, v)
		t.To(live.Stored)
	}
	return err
}

// tell publishes the result to the results queue and the reply_to, after all output.
func (t *task) tell(j intake.Job, r *event.Result) error {
	record, reply := j.Record != nil && !t.recorded, j.Reply != nil && !t.Told[j.ReplyTo]
	if reply {
		if err := t.Live.Flush(t.Ctx); err != nil {
			return err
		}
	}
	if record {
		if err := j.Record(t.Ctx, *r); err != nil {
			return err
		}
		t.recorded = true
	}
	if reply {
		if err := j.Reply(t.Ctx, *r); err != nil {
			return err
		}
		t.Told[j.ReplyTo] = true
	}
	return nil
}

// allSent reports whether sendGone has nothing to do, now or later.
func (t *task) allSent(v intake.Verdict, r *event.Result) bool {
	jobs, _, _ := t.Given()
	v = t.goneVerdict(v, r)
	return !slices.ContainsFunc(jobs, func(j intake.Job) bool { return t.unsent(j, v) })
}

// unsent reports whether store has something to do.
func (t *task) unsent(j intake.Job, v intake.Verdict) bool {
	return j.Record != nil && !t.recorded || j.Reply != nil && !t.Told[j.ReplyTo] ||
		!t.copied && copies(j, v)
}

// copies reports whether a verdict asks for a copy of the message: a dead letter or the next attempt.
func copies(j intake.Job, v intake.Verdict) bool {
	return v == intake.DeadLetter && j.Store != nil || v == intake.TryAgain
}
