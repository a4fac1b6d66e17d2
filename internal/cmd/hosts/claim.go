package hosts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// ErrNoClaims leaves a task unfinished, as the end of its context does: [intake.Claims] give up only if the process ends.
var ErrNoClaims = errors.New("the broker does not answer for the claims any more")

// noClaims adds to an error of Claims what it was to do, and that it is an ErrNoClaims, unless it is the context's.
func noClaims(err error, what string, args ...any) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrNoClaims, fmt.Sprintf(what, args...), err)
}

// claim makes the task a holder of key, unless another host has it.
func (h *Hosts) claim(t *live.Task, key intake.ClaimKey) (other *intake.Claim, err error) {
	if t.Keys.Holds(key) {
		return nil, nil
	}
	other, err = h.Claims.Claim(t.Ctx, key)
	if err != nil {
		return nil, noClaims(err, "the %s %s could not be claimed", key.Kind, flagval.Quote(key.Key))
	}
	if other == nil {
		h.Tally.Count(func(c *status.Counters) *int64 { return &c.Claimed })
		t.Keys.Hold(key)
	}
	return other, nil
}

// ClaimRun claims what a run or a create needs before its container is created; found is its container, if there is one. ErrElsewhere:
// some other host has it, or is to have it.
func (h *Hosts) ClaimRun(t *live.Task, r *message.Run, found *dockerapi.Container) error {
	err := h.placed(t, r.Placement, found != nil)
	if err == nil && found == nil && t.Denied == nil {
		err = h.followsName(t, r)
	}
	if err == nil {
		err = h.claimJob(t)
	}
	switch {
	case err != nil:
		return err
	case found != nil:
		return h.holdName(t, *found)
	}
	if err = cmp.Or(h.stillGiven(t), t.Denied); err == nil {
		err = h.claimName(t, r.Name)
	}
	return err
}

// claimJob claims the task's job. ErrElsewhere: another host has it, or it is settled.
func (h *Hosts) claimJob(t *live.Task) error {
	if h.Claims == nil {
		return nil
	}
	key := t.JobKey(t.ID)
	t.Awaits.Store("its claim at the broker")
	if t.From != nil && t.WasRedelivered() && t.Attempt == 1 && t.Earlier == nil {
		// Whoever forwarded it has seen the claim. A later attempt, or a message that is new, may have met the claim that an
		// earlier one was about to give up. A void claim was not given up: the job is claimed anew. So is a job whose claim ended with
		// another job of the same id.
		if at, err := h.lookUp(t, key); err != nil {
			return err
		} else if last, ok := h.Jobs.LastOf(t.Queue, t.ID); at == nil && (!ok || last.Digest == t.Digest) {
			t.Log.Info("forwarded message of a job that was settled meanwhile; acked")
			return &live.Elsewhere{Verdict: intake.Ack}
		}
	}
	other, err := h.claim(t, key)
	if err == nil && other != nil {
		err = h.Forward(t, *other)
	}
	return err
}

// stillGiven returns nil once the broker has shown, after the job was claimed, that a delivery of the task is not lost. If all are lost,
// another host may have run the job and be done with it, and then the claim was free again. ErrElsewhere: some host gets the message.
func (h *Hosts) stillGiven(t *live.Task) error {
	if h.Claims == nil {
		return nil
	}
	for {
		j, ok := t.Present()
		if !ok {
			return h.startsOver(t)
		}
		if j.Alive == nil {
			return nil
		}
		if err := j.Alive(t.Ctx); !errors.Is(err, intake.ErrDeliveryLost) {
			return err
		}
	}
}

// EndClaims gives up each claim that the task holds, or leaves it at the broker. See comesBack. Its error is the context's.
func (h *Hosts) EndClaims(ctx context.Context, t *live.Task, comesBack bool) error {
	for {
		key, stays, ok := t.Keys.Take()
		switch {
		case !ok:
			return nil
		case stays,
			t.LeavesContainer(), // a detached one with Remove too: its own wait removes it
			// The message must find the job's claim. It claims the name anew, unless a container is left because no note has come.
			comesBack && (key.Kind == "job" || t.ContainerID() != ""),
			h.ofAnother(ctx, t, key):
			h.Claims.Keep(key)
			continue
		}
		// There is no container, a message has removed it, or the task is about to. Or any host may get the message now, be it requeued
		// or the next attempt: with the claim, that host would forward it back here.
		if err := h.unclaim(ctx, t, key); err != nil {
			return err
		}
	}
}

// ofAnother reports whether key, which the task is about to give up, stays with a container that the task has not made: it has the name
// that the task wanted, or is of another attempt or copy of the job, or of another job of the same id. It also stays if the engine does
// not say. The engine is asked only if there can be such a container.
func (h *Hosts) ofAnother(ctx context.Context, t *live.Task, key intake.ClaimKey) bool {
	none := (t.Traits.Makes || t.Cmd == nil) && t.ContainerID() == ""
	switch {
	case key.Kind == "name" && (none || key.Key == t.Traits.NewName):
		c, err := h.Docker.InspectContainer(ctx, key.Key)
		return err == nil && t.Ours(c.Labels) && !h.discards(t, c.ID, c.Labels) || err != nil && !errors.Is(err, dockerapi.ErrNoSuchContainer)
	case key == t.JobKey(t.ID) && (t.Attempt > 1 || t.Copy != "" || none && t.At() <= live.Settled):
		list, err := h.containersOf(ctx, t.Queue, t.ID)
		return err != nil || slices.ContainsFunc(list, func(c dockerapi.ContainerSummary) bool { return !h.discards(t, c.ID, c.Labels) })
	}
	return false
}

// discards reports whether a container is the task's, and is removed at its end, or was removed.
func (h *Hosts) discards(t *live.Task, id string, labels map[string]string) bool {
	if t.ContainerID() != "" {
		return id == t.ContainerID()
	}
	return t.Cleanup != nil && t.Like(labels) && !t.EarlierAttempt(labels) // its create was not answered
}

// ComesBack reports whether the message of a task that is requeued comes to this host again: it is in the host queue. Or its
// connection has ended: whoever gets it may have forwarded it here already.
func (h *Hosts) ComesBack(t *live.Task) bool {
	_, present := t.Present()
	return !present || t.IsCopy()
}

// unclaim takes away one holder of key, which the task holds no more.
func (h *Hosts) unclaim(ctx context.Context, t *live.Task, key intake.ClaimKey) error {
	err := h.Claims.Unclaim(ctx, key)
	if err != nil && ctx.Err() == nil && !closed.Is(h.Stopping) { // else the container stays for the sweep, which deletes both
		t.Log.Warn("a claim was not deleted at the broker; it does no harm, and takes about 1 KB there", "kind", key.Kind, "key", key.Key, "error", err)
		return nil
	}
	return err
}

// ForgetContainer deletes the claims of a container that is about to be removed.
func (h *Hosts) ForgetContainer(ctx context.Context, vhost string, c dockerapi.Container) error {
	if h.Claims == nil || c.Labels[identity.LabelHost] != h.Claims.Host() {
		return nil
	}
	err := h.Claims.Forget(ctx, intake.JobKey(vhost, c.Labels[identity.LabelQueue], c.Labels[identity.LabelJob]))
	if err == nil && !isDerived(c.Name) {
		err = h.Claims.Forget(ctx, intake.NameKey(c.Name))
	}
	return noClaims(err, "the claims of the container %s could not be deleted", c.Name)
}

// IsStale reports whether a former life of this host made a container.
func (h *Hosts) IsStale(labels map[string]string) bool {
	if h.Claims == nil || !strings.HasPrefix(labels[identity.LabelBroker], intake.Place{VHost: h.VHost}.Prefix()) {
		return false
	}
	now, life := h.Claims.Host(), labels[identity.LabelHost]
	name := now[:strings.LastIndex(now, ".")+1]
	return life != now && strings.HasPrefix(life, name) && !strings.Contains(life[len(name):], ".")
}

// ClaimAnew claims the task's job after the task has adopted a container, and gives up the claim before if the container has
// given it another id.
func (h *Hosts) ClaimAnew(t *live.Task, before intake.ClaimKey) error {
	if err := h.claimJob(t); err != nil || before == t.JobKey(t.ID) || !t.Keys.Drop(before) {
		return err
	}
	return h.unclaim(t.Ctx, t, before)
}
