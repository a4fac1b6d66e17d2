package hosts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// whoHas returns the claim of key; nil: no host has it.
func (h *Hosts) whoHas(t *live.Task, key intake.ClaimKey) (*intake.Claim, error) {
	at, err := h.lookUp(t, key)
	if at != nil && at.Void {
		at = nil
	}
	return at, err
}

// lookUp is whoHas, but returns a void claim too.
func (h *Hosts) lookUp(t *live.Task, key intake.ClaimKey) (*intake.Claim, error) {
	at, err := h.Claims.Look(t.Ctx, key)
	if err != nil {
		return nil, noClaims(err, "which host has the %s %s is not known", key.Kind, flagval.Quote(key.Key))
	}
	return at, nil
}

// Forward returns why the task is another host's.
func (h *Hosts) Forward(t *live.Task, to intake.Claim) error {
	if t.From != nil && t.From.Hops >= intake.MostHops {
		return fmt.Errorf("%w: the message was forwarded %d times, and no host kept it; the last one is %s. Send it again",
			dockerapi.ErrConflict, t.From.Hops, flagval.Quote(to.Host))
	}
	return t.Moves(&live.Elsewhere{Verdict: intake.Forward, To: to})
}

// startsOver has the message requeued: the claim that was found leads to no host any more, or all deliveries are lost.
func (h *Hosts) startsOver(t *live.Task) error {
	return t.Moves(&live.Elsewhere{Verdict: intake.Requeue})
}

// Seek has a command forwarded if another host has key. A name that this host has claimed is forgotten if gone says that its
// container is not here. A job is not: its message may be under way to this host.
func (h *Hosts) Seek(t *live.Task, key intake.ClaimKey, gone bool) error {
	if h.Claims == nil {
		return nil
	}
	at, err := h.whoHas(t, key)
	switch {
	case err != nil || at == nil:
		return err
	case !at.Ours:
		return h.Forward(t, *at)
	case gone && key.Kind == "name":
		h.Tally.Count(func(c *status.Counters) *int64 { return &c.LostClaims })
		return noClaims(h.Claims.Forget(t.Ctx, key), "a claim without a container could not be deleted")
	}
	return nil
}

// MayBeElsewhere has a command forwarded if another host has the container ref. found is nil if the engine has such a container,
// which may be another one: a person's, or one of a former life of this host. Else found is the engine's error.
func (h *Hosts) MayBeElsewhere(t *live.Task, on dockerapi.Container, ref string, found error) error {
	gone := errors.Is(found, dockerapi.ErrNoSuchContainer)
	if h.Claims == nil || found != nil && !gone || found == nil && t.Ours(on.Labels) {
		return found
	}
	if err := h.Seek(t, keyOf(ref), gone); err != nil {
		return err
	}
	if !gone {
		return nil
	}
	if t.WasRedelivered() && t.Traits.NewName != "" { // an earlier delivery may have renamed it
		if err := h.Seek(t, intake.NameKey(t.Traits.NewName), false); err != nil {
			return err
		}
	}
	if len(ref) >= 12 && strings.Trim(ref, "0123456789abcdef") == "" {
		return fmt.Errorf("%w; a container of another host is found by its name or by its Job, not by its id", found)
	}
	return found
}

// LooksAhead reports whether the task asks who has its job before its turn comes: see GoesAhead.
func (h *Hosts) LooksAhead(t *live.Task) bool {
	return h.Claims != nil && t.Stable && t.Traits.Makes && t.At() == live.Waiting
}

// GoesAhead has a waiting task of a redelivered message forwarded at once if another host has its job. Otherwise the message would
// wait here, that host's queues would be quiet, and a sweep there would remove the job's container: the job would run again here.
func (h *Hosts) GoesAhead(ctx context.Context, t *live.Task) {
	ctx, cancel := closed.Context(ctx, t.Reached(live.Cancelled))
	defer cancel()
	at, err := h.Claims.Look(ctx, t.JobKey(t.ID))
	if err == nil && at != nil && !at.Ours && !at.Void {
		t.ForwardsTo(*at)
	}
}

// MostForNote is how long the host that has the job may be told late that a message is acked.
const MostForNote = time.Minute

// noteTakes is how long a host that has forwarded a message may take to tell that it is acked. See MostForNote.
const noteTakes = 2 * MostForNote

// ErrNoNote says that a note has not come for noteTakes: the host that was to send it was killed, or cannot reach the broker.
var ErrNoNote = errors.New("the host that forwarded the message does not tell that it is acked")

// AwaitNote waits until the host that forwarded the message here has had the original acked. It is called before the job's claim is
// deleted. Else a third host that is redelivered the original would find no claim, and run the job again. joined: a delivery has come,
// and is to be settled first. The process may stop first. ErrNoNote: it is not known that the original is acked.
func (h *Hosts) AwaitNote(t *live.Task) (joined bool, err error) {
	late := time.NewTimer(noteTakes)
	defer late.Stop()
	for {
		last, noted := t.LastNote()
		if noted {
			return false, nil
		}
		select {
		case <-last:
		case <-t.Arrived:
			if t.HasMore() { // else it was settled already
				return true, nil
			}
		case <-h.Stopping:
			return false, context.Canceled
		case <-t.Ctx.Done():
			return false, t.Ctx.Err()
		case <-late.C:
			return false, ErrNoNote
		}
	}
}
