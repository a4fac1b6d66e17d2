package hosts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// followsName claims the name that a run chose. If another host has it, the run goes there: a container that is about to be removed
// may have the name, and otherwise the conflict is told there. The name comes before the job, so a claim of the job is never given up
// for this: its copy, redelivered after a crash, would count as settled. So a copy stays, and so does a run that not every host may
// carry out: see claimName.
func (h *Hosts) followsName(t *live.Task, r *message.Run) error {
	if h.Claims == nil || r.Name == "" || !r.Placement.Any() || t.IsCopy() {
		return nil
	}
	other, err := h.claim(t, intake.NameKey(r.Name))
	if err != nil || other == nil {
		return err
	}
	to, err := h.Claims.ClaimFor(t.Ctx, t.JobKey(t.ID), other.Host)
	switch {
	case errors.Is(err, intake.ErrNoHost):
		return h.startsOver(t) // it was released just now
	case err != nil:
		return noClaims(err, "the job could not be claimed for the host %s", flagval.Quote(other.Host))
	case to.Ours: // since before: a copy may be on its way here
		return nil
	}
	return h.Forward(t, to)
}

// claimName claims the name that a run chose, if followsName has not. It waits as long as a container takes that is about to be removed.
func (h *Hosts) claimName(t *live.Task, name string) error {
	if h.Claims == nil || name == "" {
		return nil
	}
	for began := time.Now(); ; {
		other, err := h.claim(t, intake.NameKey(name))
		switch {
		case err != nil || other == nil:
			return err
		case time.Since(began) > live.Lingering+Leaving:
			return h.nameElsewhere(name, other)
		}
		if err := delay.Sleep(t.Ctx, Leaving/4); err != nil {
			return err
		}
	}
}

func (h *Hosts) nameElsewhere(name string, at *intake.Claim) error {
	return fmt.Errorf("%w: the host %s has a container %s", dockerapi.ErrNameInUse, flagval.Quote(at.Host), flagval.Quote(name))
}

// holdName makes a task a holder of the name of a container of ours.
func (h *Hosts) holdName(t *live.Task, c dockerapi.Container) error {
	if h.Claims == nil || !t.Ours(c.Labels) || isDerived(c.Name) {
		return nil
	}
	_, err := h.claim(t, intake.NameKey(c.Name))
	return err
}

// AfterRemoval gives up the claims of a container that a message has removed. If its run is here and holds the job's claim, the run
// gives up the job. If it is not known that the job is settled, and that no other host may get its message, the job is held for a while.
func (h *Hosts) AfterRemoval(t *live.Task, c dockerapi.Container) error {
	h.Jobs.Removes(c.ID)
	if h.Claims == nil || !t.Ours(c.Labels) {
		return nil
	}
	job := c.Labels[identity.LabelJob]
	holdsJob := func(o *live.Task) bool { return o.Traits.Runs && o.Keys.Holds(t.JobKey(job)) }
	if err := h.holdName(t, c); err != nil || !t.Made(c.Labels) || slices.ContainsFunc(h.Jobs.Runs(c.ID), holdsJob) {
		return err
	}
	if next := h.Jobs.ByID(job); next != nil && next.IsCopy() && next.ContainerID() != c.ID {
		return nil // it has followed the claim here, and takes it over
	}
	last, _ := h.Jobs.LastOf(t.Queue, job)
	if _, noted := last.Notes.Last(); last.Over && noted {
		_, err := h.claim(t, t.JobKey(job))
		return err
	}
	_, err := h.ClaimLasting(t, job)
	return err
}

// ClaimNewName claims the name that a container of ours is to have.
func (h *Hosts) ClaimNewName(t *live.Task, on dockerapi.Container, name string) error {
	if h.Claims == nil || !t.Ours(on.Labels) {
		return nil
	}
	other, err := h.claim(t, intake.NameKey(name))
	if err == nil && other != nil {
		err = h.nameElsewhere(name, other)
	}
	return err
}

// Renamed leaves the new name to the container, or to its run, and gives up the old one.
func (h *Hosts) Renamed(t *live.Task, on dockerapi.Container, name string) error {
	before, after := intake.NameKey(on.Name), intake.NameKey(name)
	if before == after {
		t.Keys.Leave(after)
		return nil
	}
	for _, run := range h.Jobs.Runs(on.ID) {
		run.Keys.Give(before, &t.Keys)
		t.Keys.Give(after, &run.Keys)
	}
	t.Keys.Leave(after)
	return h.holdName(t, on)
}

func isDerived(name string) bool { return strings.HasPrefix(name, message.DerivedName) }

// keyOf returns the claim by which a container is found. A name that [identity.Identity.On] has derived begins with the job's key.
func keyOf(ref string) intake.ClaimKey {
	rest, ok := strings.CutPrefix(ref, message.DerivedName)
	job, suffix, _ := strings.Cut(rest, "-")
	if ok && len(job) == 12 && len(suffix) == 8 && strings.Trim(job+suffix, "0123456789abcdef") == "" {
		return intake.ClaimKey{Kind: "job", Key: job}
	}
	return intake.NameKey(ref)
}

// Leaving is how long a run waits for a name whose container is about to be removed. An undisturbed settling takes
// less. After that, an ended container of ours is renamed; any other keeps the name, and the run fails.
const Leaving = 2 * time.Second
