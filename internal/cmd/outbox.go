package cmd

import (
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
)

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
