package cmd

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// startOver is how long a message waits before it is requeued because a claim leads to no host.
const startOver = time.Second

// handOver settles all deliveries of a task that has no result here. If one is lost, the broker redelivers it to some host, which
// finds the claim as this one did. handOver returns false if the process stops first.
func (t *job) handOver(e *elsewhere) bool {
	t.to(phaseForwarded)
	if t.pool.hosts.endClaims(t.ctx, &t.task, e.verdict == intake.Requeue && t.pool.hosts.comesBack(&t.task)) != nil {
		return false
	}
	var forwarded []intake.Job
	for {
		for _, j := range t.take() {
			switch done, err := t.handOverOne(j, e); {
			case errors.Is(err, intake.ErrDeliveryLost):
				t.log.Debug("delivery lost before it was forwarded; some host gets the redelivery")
			case err != nil:
				return false
			case done:
				forwarded = append(forwarded, j)
			}
		}
		if e.to.Ours { // only now: a later command goes home after this one
			t.order.givenBack.Store(true)
		}
		t.takesEffect()
		if t.pool.jobs.remove(&t.task) {
			break
		}
	}
	t.to(phaseGone) // nothing need wait for the notes
	ctx, cancel := context.WithTimeout(t.ctx, mostForNote)
	defer cancel()
	for _, j := range forwarded {
		if err := j.Moved(ctx); err != nil {
			t.log.Debug("the other host was not told that the message is acked, and keeps the container for long", "error", err)
		}
	}
	return true
}

// handOverOne settles one delivery, and reports whether it was forwarded and acked.
func (t *job) handOverOne(j intake.Job, e *elsewhere) (forwarded bool, err error) {
	if j.IsLost() {
		return false, intake.ErrDeliveryLost
	}
	v := e.verdict
	switch v {
	case intake.Forward:
		err = j.Forward(t.ctx, e.to, t.ID, t.overtakes())
	case intake.PutBack:
		if err = j.PutBack(t.ctx, hostLook, t.ID); err == nil {
			v = intake.Ack
			t.pool.unplaced.put(t)
		}
	}
	if v == intake.Requeue || errors.Is(err, intake.ErrNoHost) {
		// Its job was settled just now, or its host released. Without the pause a claim of a host without a queue would be met at once again.
		t.pool.tally.Count(func(c *status.Counters) *int64 { return &c.LostClaims })
		t.log.Info("the host that had the job has it no more; the message is requeued", "host", e.to.Host)
		t.order.givenBack.Store(true)
		v, err = intake.Requeue, delay.Sleep(t.ctx, startOver)
	}
	t.next(err == nil)
	if err == nil {
		err = j.Settle(t.ctx, v, *t.result())
	}
	if err != nil || v != intake.Forward {
		return false, err
	}
	t.pool.tally.Count(func(c *status.Counters) *int64 { return &c.Forwarded })
	said := "forwarded to the host that has the job"
	if e.to.Ours {
		said = "moved to this host's own queue, because too many commands of its queue wait for something else to end"
	}
	if t.pool.lines.Takes(slog.LevelInfo, said) {
		t.log.Info(said, "host", e.to.Host, "command", t.traits.Verb)
	}
	if j.Fence != nil {
		err = j.Fence(t.ctx)
	}
	return err == nil, err
}

// overtakes reports whether a command may come to another host before runs that were forwarded earlier. It waits neither for a slot
// nor for room on the disk. It leaves the container with its name: otherwise a redelivered run would not find its container there, and
// the job would run twice.
func (t *job) overtakes() bool {
	c := t.traits
	return c.Control && !c.Makes && !c.Removes && c.NewName == "" && (t.control || !c.Lasts)
}
