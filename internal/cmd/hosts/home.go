package hosts

import (
	"context"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
)

// MayGoHome reports whether the message may leave the queue that it came from for this host's own queue, which has places for many
// commands that hold. A misplaced run may not: there it would count as placed.
func (h *Hosts) MayGoHome(t *live.Task) bool {
	return h.Claims != nil && t.From == nil && !h.Misplaced(t)
}

// GoesHome has the message forwarded to this host's own queue. A later command on its container is requeued when its turn comes, and
// then comes after the copy. The task waits, or has begun and done nothing.
func (h *Hosts) GoesHome(t *live.Task) error {
	to, waits := h.Claims.Here(), t.At() == live.Waiting
	if t.Traits.Makes { // the copy must find the job's claim
		ctx := t.Ctx
		if waits {
			var cancel context.CancelFunc
			ctx, cancel = closed.Context(ctx, t.Reached(live.Cancelled))
			defer cancel()
		}
		var err error
		switch to, err = h.Claims.ClaimFor(ctx, t.JobKey(t.ID), h.Host); {
		case waits && ctx.Err() != nil:
			return t.NotBegun()
		case err != nil:
			return noClaims(err, "the job could not be claimed for this host")
		}
	}
	if waits {
		t.ForwardsTo(to)
		return t.NotBegun()
	}
	return h.Forward(t, to)
}
