package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
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

// claimName claims the name that a run chose. If another host has it, the run goes there: a container that is about to be removed
// may have the name, and otherwise the conflict is told there. A copy does not go: without the job's claim it would count as
// settled if this process were killed now.
func (t *task) claimName(name string) error {
	if t.pool.Claims == nil || name == "" {
		return nil
	}
	other, err := t.claim(intake.NameKey(name), false)
	if err != nil || other == nil {
		return err
	}
	if t.pool.jobs.isCopy(t) {
		return nameTaken(*other, name)
	}
	job := t.jobKey(t.id)
	if err := t.disclaim(t.ctx, job); err != nil {
		return err
	}
	to, err := t.pool.Claims.ClaimFor(t.ctx, job, other.Host)
	switch {
	case errors.Is(err, intake.ErrNoHost):
		return t.startsOver() // it was released just now
	case err != nil:
		return noClaims(err, "the job could not be claimed for the host %s", flagval.Quote(other.Host))
	case to.Ours: // a message has cancelled the job here
		return nameTaken(*other, name)
	}
	return t.forward(to)
}

func nameTaken(by intake.Claim, name string) error {
	return fmt.Errorf("%w: the host %s has a container %s", dockerapi.ErrNameInUse, flagval.Quote(by.Host), flagval.Quote(name))
}

// keepsName keeps the claim of a name that could not be had if another container of ours has the name.
func (t *task) keepsName(name string) {
	if c, err := t.pool.Docker.InspectContainer(t.ctx, name); err == nil && t.ours(c) {
		t.keepClaim(intake.NameKey(name), true)
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

// holdName makes a task a holder of the name of a container of ours. keep: the claim stays if the task fails.
func (t *task) holdName(c dockerapi.Container, keep bool) error {
	if t.pool.Claims == nil || !t.ours(c) || isDerived(c.Name) {
		return nil
	}
	_, err := t.claim(intake.NameKey(c.Name), keep)
	return err
}

// afterRemoval gives up the claims of a container that a message has removed. If its run is here, the run gives up the job. If it is
// not known that the job is settled, the job is held for a while.
func (t *task) afterRemoval(c dockerapi.Container) error {
	t.pool.jobs.removes(c.ID)
	if t.pool.Claims == nil || !t.ours(c) {
		return nil
	}
	t.keepClaim(intake.NameKey(c.Name), false)
	if !t.made(c) || len(t.pool.jobs.runs(c.ID)) > 0 {
		return nil
	}
	job := c.Labels[LabelJob]
	if next := t.pool.jobs.byID(job); next != nil && t.pool.jobs.isCopy(next) {
		return nil // it has followed the claim here, and takes it over
	}
	if t.pool.jobs.knew(t.queue, job) {
		_, err := t.claim(t.jobKey(job), false)
		return err
	}
	_, err := t.claimLasting(job)
	return err
}

// claimNewName claims the name that a container of ours is to have.
func (t *task) claimNewName(name string) error {
	if t.pool.Claims == nil || !t.ours(t.on) {
		return nil
	}
	other, err := t.claim(intake.NameKey(name), false)
	if err == nil && other != nil {
		err = nameTaken(*other, name)
	}
	if err != nil {
		return err
	}
	return t.holdName(t.on, true)
}

// renamed gives up the old name of the container, also if its run has claimed that.
func (t *task) renamed(name string) {
	before, after := intake.NameKey(t.on.Name), intake.NameKey(name)
	t.keepClaim(before, false)
	t.keepClaim(after, true)
	for _, run := range t.pool.jobs.runs(t.on.ID) {
		t.pool.jobs.swapClaims(t, run, after, before)
	}
}

// swapClaims has a give its claim mine to b, for that of b.
func (g *registry) swapClaims(a, b *task, mine, its intake.ClaimKey) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.IndexFunc(a.keys, func(h heldClaim) bool { return h.key == mine })
	k := slices.IndexFunc(b.keys, func(h heldClaim) bool { return h.key == its })
	if i >= 0 && k >= 0 {
		a.keys[i], b.keys[k] = heldClaim{key: its}, heldClaim{key: mine}
	}
}

// removes records that a message has removed the container id.
func (g *registry) removes(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byContainer[id] {
		t.removed = t.removed || t.container == id
	}
}

func isDerived(name string) bool { return strings.HasPrefix(name, message.DerivedName) }

// keyOf returns the claim by which a container is found. A name that Pool.identify has derived begins with the job's key.
func keyOf(ref string) intake.ClaimKey {
	rest, ok := strings.CutPrefix(ref, message.DerivedName)
	job, suffix, _ := strings.Cut(rest, "-")
	if ok && len(job) == 12 && len(suffix) == 8 && strings.Trim(job+suffix, "0123456789abcdef") == "" {
		return intake.ClaimKey{Kind: "job", Key: job}
	}
	return intake.NameKey(ref)
}
