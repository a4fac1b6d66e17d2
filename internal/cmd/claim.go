package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// If several hosts share a queue, a run or a create claims its job before it creates its container, and the container's name if
// its message chose one. What another host has is forwarded to that host: see forward.go. So these hold:
//
//	a waiting task has no claim, and every container that we made has its claims until it is removed
//	a job's claim is deleted only after the job is settled, and before its container is removed: a sweep finds the keys of a
//	container that a crash left by its labels
//	a claim without a container is of a job that this host is to run: it was killed between the two
//
// What a task does with its claims at its end:
//
//	the container was removed, or there is none      unclaim, after linger and awaitNote
//	the container stays                              keep; a detached run with Remove forgets them just before the removal
//	requeued                                         unclaim before the requeue, or the next host would forward it back here
//	requeued to the host queue                       keep: it comes back here, and must find the claim
//	another attempt follows                          as above: the next one runs on any host once the container is removed
//	the name was taken by a container of ours        keep the name for that container
//	remove                                           unclaim; if the job may not be settled, it is held for an hour: see lasting
//	rename                                           the new name is claimed before, the old one unclaimed after the ack
//	exec, pull, logs, stop and others                no claim
type claims struct {
	keys  []heldClaim // guarded by the registry: a rename changes those of a run
	moved bool        // another host has the job; guarded by the registry
	ahead *elsewhere  // not nil: see goesAhead; written before it is in phaseForwarded

	from *intake.Forwarded // how the first delivery came from another host; nil: it did not
}

// A heldClaim is one of which the task is a holder.
type heldClaim struct {
	key  intake.ClaimKey
	keep bool // the claim stays at the task's end
}

// errNoClaims leaves a task unfinished, as the end of its context does: [intake.Claims] give up only if the process ends.
var errNoClaims = errors.New("the broker does not answer for the claims any more")

// noClaims adds to an error of Claims what it was to do, and that it is an errNoClaims, unless it is the context's.
func noClaims(err error, what string, args ...any) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", errNoClaims, fmt.Sprintf(what, args...), err)
}

// claim makes the task a holder of key, unless another host has it.
func (t *task) claim(key intake.ClaimKey, keep bool) (other *intake.Claim, err error) {
	other, err = t.pool.Claims.Claim(t.ctx, key)
	if err != nil {
		return nil, noClaims(err, "the %s %s could not be claimed", key.Kind, flagval.Quote(key.Key))
	}
	if other == nil {
		t.pool.tally.Count(func(c *status.Counters) *int64 { return &c.Claimed })
		t.pool.jobs.mu.Lock()
		defer t.pool.jobs.mu.Unlock()
		t.keys = append(t.keys, heldClaim{key, keep})
	}
	return other, nil
}

// claimJob claims the task's job. errElsewhere: another host has it, or it is settled.
func (t *task) claimJob() error {
	if t.pool.Claims == nil {
		return nil
	}
	key, earlier := t.jobKey(t.id), t.claimsOf("job")
	if slices.ContainsFunc(earlier, func(h heldClaim) bool { return h.key == key }) {
		return nil
	}
	t.awaits.Store("its claim at the broker")
	if t.from != nil && t.again.Load() && t.attempt == 1 && t.earlier == nil {
		// Whoever forwarded it has seen the claim. A later attempt, or a message that is new, may have met the claim that an
		// earlier one was about to give up. A void claim was not given up: the job is claimed anew.
		if at, err := t.lookUp(key); err != nil {
			return err
		} else if at == nil {
			t.log.Info("forwarded message of a job that was settled meanwhile; acked")
			return &elsewhere{verdict: intake.Ack}
		}
	}
	other, err := t.claim(key, false)
	if err == nil && other != nil {
		err = t.forward(*other)
	}
	for _, h := range earlier { // an adopted container has told the job's id
		if err == nil {
			err = t.disclaim(t.ctx, h.key)
		}
	}
	return err
}

// stillGiven returns nil once the broker has shown, after the job was claimed, that a delivery of the task is not lost. If all are lost,
// another host may have run the job and be done with it, and then the claim was free again. errElsewhere: some host gets the message.
func (t *task) stillGiven() error {
	if t.pool.Claims == nil {
		return nil
	}
	for {
		j, ok := t.pool.jobs.present(t)
		if !ok {
			// Whoever gets the message may have forwarded it here already: then it must find the claim. Otherwise the claim does no harm.
			t.keepClaim(t.jobKey(t.id), true)
			return t.startsOver()
		}
		if j.Alive == nil {
			return nil
		}
		if err := j.Alive(t.ctx); !errors.Is(err, intake.ErrDeliveryLost) {
			return err
		}
	}
}

// keepClaim says whether a claim that the task holds stays at its end.
func (t *task) keepClaim(key intake.ClaimKey, keep bool) {
	t.pool.jobs.mu.Lock()
	defer t.pool.jobs.mu.Unlock()
	for i := range t.keys {
		if t.keys[i].key == key {
			t.keys[i].keep = keep
		}
	}
}

// keepClaims has all claims that the task holds stay at its end.
func (t *task) keepClaims() {
	for _, h := range t.claimsOf("") {
		t.keepClaim(h.key, true)
	}
}

// ours reports whether this host made a container, in this life of it. If several hosts share the queue, the container's claims are
// this host's then.
func (t *task) ours(c dockerapi.Container) bool { return c.Labels[LabelHost] == t.host }

// disclaims gives up all claims of the task, or leaves them to its container. Its error is the context's.
func (t *task) disclaims(ctx context.Context) error {
	if t.pool.Claims == nil {
		return nil
	}
	stays := t.leavesContainer()
	for held := t.claimsOf(""); len(held) > 0; held = t.claimsOf("") {
		if h := held[0]; h.keep || stays {
			t.drop(h.key)
			t.pool.Claims.Keep(h.key)
		} else if err := t.disclaim(ctx, h.key); err != nil {
			return err
		}
	}
	return nil
}

// disclaim gives up one claim.
func (t *task) disclaim(ctx context.Context, key intake.ClaimKey) error {
	t.drop(key)
	err := t.pool.Claims.Unclaim(ctx, key)
	if err != nil && ctx.Err() == nil && !isClosed(t.pool.stopping) { // else the container stays for the sweep, which deletes both
		t.log.Warn("a claim was not deleted at the broker; it does no harm, and takes about 1 KB there", "kind", key.Kind, "key", key.Key, "error", err)
		return nil
	}
	return err
}

// drop records that the task is a holder of key once less.
func (t *task) drop(key intake.ClaimKey) {
	t.pool.jobs.mu.Lock()
	defer t.pool.jobs.mu.Unlock()
	if i := slices.IndexFunc(t.keys, func(h heldClaim) bool { return h.key == key }); i >= 0 {
		t.keys = slices.Delete(t.keys, i, i+1)
	}
}

// claimsOf returns the claims of a kind that the task holds; "": all.
func (t *task) claimsOf(kind string) []heldClaim {
	t.pool.jobs.mu.Lock()
	defer t.pool.jobs.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(t.keys), func(h heldClaim) bool { return kind != "" && h.key.Kind != kind })
}

// leavesContainer reports whether the task's container outlives the task.
func (t *task) leavesContainer() bool {
	t.pool.jobs.mu.Lock()
	defer t.pool.jobs.mu.Unlock()
	return t.traits.Makes && t.container != "" && t.cleanup == nil && !t.removed
}

// releases gives up the claims of a recalled task, whose message is about to be requeued. A message of the host queue, or one whose
// connection has ended, comes here again.
func (t *task) releases() {
	if t.pool.Claims == nil {
		return
	}
	if _, ok := t.pool.jobs.present(t); !ok || t.pool.jobs.isCopy(t) {
		t.keepClaims()
	}
	ctx, cancel := context.WithTimeout(t.ctx, lastLook)
	defer cancel()
	if err := t.disclaims(ctx); err != nil {
		t.log.Debug("claims not deleted before the requeue; the message is forwarded here", "error", err)
	}
}
