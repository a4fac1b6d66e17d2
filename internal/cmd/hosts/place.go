package hosts

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// ErrNoHosts refuses a placement if this daemon has the queue alone.
var ErrNoHosts = errors.New("Options.Host and Options.Constraint choose one of several hosts, and this daemon knows no others: start it with --host NAME, or leave the options out")

// A NoHostError says that a message names a host that is none of the queue's.
type NoHostError struct{ host, queue string }

func (e *NoHostError) Error() string {
	return fmt.Sprintf("Options.Host: no host of the queue %s has the name %s, or it was released; docker-dispatch hosts -q %[1]s lists the names", e.queue, e.host)
}

// Misplaced reports whether the message's placement, as far as it is known without the broker, leaves the job to another host.
// A message that another host has forwarded was placed here.
func (h *Hosts) Misplaced(t *live.Task) bool {
	return h.Claims != nil && t.From == nil && !t.Traits.Where().Allows(h.Host, h.Labels)
}

// placed decides which host carries out a message that not every host may. Without an error this one does, or it has the job's
// container already: has.
//
// The taker of such a message claims the job for a host that may do it, and forwards the message. So a redelivery finds the
// claim, whoever takes it. If no living host may do it, the message is put back, and the next taker decides anew. Of two copies of
// one message, which a lost ack leaves, each must come to the same host, which knows what it has done: so the job's id chooses
// among several hosts, unless this is the first time that the message is delivered.
func (h *Hosts) placed(t *live.Task, p message.Placement, has bool) error {
	claims := h.Claims
	here := p.Allows(h.Host, h.Labels)
	switch {
	case p.Any():
		return nil
	case has:
		return h.placedHere(t)
	case claims == nil:
		return ErrNoHosts
	case t.From != nil:
		if !here {
			t.Log.Info("run here, because another host chose this one; this host is not what the message asks for any more", "wanted", p.String())
		}
		return nil
	case here && !t.WasRedelivered() && t.Waits == 0:
		return nil
	}
	key, host := t.JobKey(t.ID), p.Host
	if len(p.Constraints) > 0 {
		switch at, err := h.whoHas(t, key); {
		case err != nil:
			return err
		case at != nil:
			return h.goesTo(t, *at)
		}
		living, err := claims.Living(t.Ctx)
		if err != nil {
			return noClaims(err, "which hosts live is not known")
		}
		host = choose(p, t.ID, living)
	}
	switch {
	case host == h.Host:
		return nil
	case t.WasCancelled():
		return live.ErrCancelled
	case host == "":
		return h.putBack(t, p)
	}
	to, err := claims.ClaimFor(t.Ctx, key, host)
	switch {
	case err == nil:
		return h.goesTo(t, to)
	case !errors.Is(err, intake.ErrNoHost):
		return noClaims(err, "the job could not be claimed for the host %s", host)
	case len(p.Constraints) > 0: // it was released just now
		return h.putBack(t, p)
	}
	return &NoHostError{host, t.Queue}
}

// goesTo returns why the job is another host's, if that host has the claim.
func (h *Hosts) goesTo(t *live.Task, at intake.Claim) error {
	if !at.Ours {
		return h.Forward(t, at)
	}
	return h.placedHere(t)
}

// placedHere waits for a place among the runs of this host: a misplaced job has not requested one.
func (h *Hosts) placedHere(t *live.Task) error {
	if !t.Traits.Lasts {
		return nil
	}
	return t.AwaitPlace()
}

// putBack returns why the job is no host's yet.
func (h *Hosts) putBack(t *live.Task, p message.Placement) error {
	switch {
	case t.Waits > 0:
		t.Log.Debug("still no living host may run the message; it is put back", "wanted", p.String())
	case h.Lines.Takes(slog.LevelWarn, "put-back"):
		t.Log.Warn("no living host may run the message; it is put back until one may", "wanted", p.String())
	}
	return t.Moves(&live.Elsewhere{Verdict: intake.PutBack})
}

// Inherits makes the task a holder of the claim that another host has made for its job, if the task has ended before it claimed the
// job itself: the claim goes with the task. Its error is final.
func (h *Hosts) Inherits(t *live.Task) error {
	if t.From == nil || !t.MayBeClaimed() || t.Keys.Holds(t.JobKey(t.ID)) {
		return nil
	}
	_, err := h.claim(t, t.JobKey(t.ID))
	return err
}

// choose returns the host that is to run a job, the same as long as the same hosts are alive; "": none may.
func choose(p message.Placement, id string, living []intake.Host) string {
	var best, rank string
	for _, h := range living {
		sum := sha256.Sum256([]byte(h.Name + "\x00" + id))
		if r := string(sum[:]); r > rank && p.Allows(h.Name, h.Labels) {
			best, rank = h.Name, r
		}
	}
	return best
}

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

// ClaimPull decides which host does a pull. If not every host may, the pull holds the claim of its job, as a run does: its message that
// comes to another host is forwarded here. Unlike a run it need not know that its delivery is not lost: a second pull does no harm.
func (h *Hosts) ClaimPull(t *live.Task, p message.Placement) error {
	if p.Any() {
		return nil
	}
	if err := h.placed(t, p, false); err != nil {
		return err
	}
	return h.claimJob(t)
}
