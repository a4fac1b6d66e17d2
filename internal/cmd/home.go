package cmd

import (
	"context"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
)

// mayGoHome reports whether the message may leave the queue that it came from for this host's own queue, which has places for many
// commands that hold. A misplaced run may not: there it would count as placed.
func (h *sharing) mayGoHome(t *task) bool { return h.Claims != nil && t.from == nil && !h.misplaced(t) }

// goesHome has the message forwarded to this host's own queue. A later command on its container is requeued when its turn comes, and
// then comes after the copy. The task waits, or has begun and done nothing.
func (h *sharing) goesHome(t *task) error {
	to, waits := h.Claims.Here(), t.at() == phaseWaiting
	if t.traits.Makes { // the copy must find the job's claim
		ctx := t.ctx
		if waits {
			var cancel context.CancelFunc
			ctx, cancel = closed.Context(ctx, t.reached(phaseCancelled))
			defer cancel()
		}
		var err error
		switch to, err = h.Claims.ClaimFor(ctx, t.JobKey(t.ID), h.Host); {
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
	return h.forward(t, to)
}
