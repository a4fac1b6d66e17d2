package cmd

import (
	"context"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// mayGoHome reports whether the message may leave the queue that it came from for this host's own queue, which has places for many
// commands that hold. A misplaced run may not: there it would count as placed.
func (t *task) mayGoHome() bool { return t.pool.Claims != nil && t.from == nil && !t.misplaced() }

// goesHome has the message forwarded to this host's own queue. A later command on its container is requeued when its turn comes, and
// then comes after the copy. The task waits, or has begun and done nothing.
func (t *task) goesHome() error {
	to, waits := t.pool.Claims.Here(), t.at() == phaseWaiting
	if t.traits.Makes { // the copy must find the job's claim
		ctx := t.ctx
		if waits {
			var cancel context.CancelFunc
			ctx, cancel = closed.Context(ctx, t.reached(phaseCancelled))
			defer cancel()
		}
		var err error
		switch to, err = t.pool.Claims.ClaimFor(ctx, t.JobKey(t.ID), t.pool.Host); {
		case waits && ctx.Err() != nil:
			return t.notBegun()
		case err != nil:
			return noClaims(err, "the job could not be claimed for this host")
		}
	}
	if waits {
		t.forwardsTo(to)
		return t.notBegun()
	}
	return t.forward(to)
}

// sentHome reports whether a delivery is the copy of a message that t has sent to this host's own queue. registry.mu is held.
func (t *task) sentHome(j intake.Job) bool {
	return j.Forwarded != nil && t.away != nil && t.away.to.Ours
}
