package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// leaving is how long a run waits for a name whose container is about to be removed. An undisturbed settling takes
// less. After that, an ended container of ours is renamed; any other keeps the name, and the run fails.
const leaving = 2 * time.Second

// creating is how long a create may take. The engine reserves the name first. Until the create is done, the engine
// refuses another create of that name, and an inspect finds no such container.
const creating = 2 * time.Minute

// A creation records how a task's container was created. Only the task's goroutine uses it.
type creation struct {
	asked      time.Time // when the last create request was sent
	unanswered bool      // a create request may have been carried out without an answer
	warnings   []string  // the engine's warnings in its answer
}

// create creates the run's container, or finds the container that an earlier request created. In that case found is
// the container as inspected, else nil.
func (t *task) create(r *message.Run) (id string, found *dockerapi.Container, err error) {
	orphan, err := t.orphan(r)
	if err != nil {
		return "", nil, err
	}
	if err := t.placed(r.Placement, orphan != nil); err != nil {
		return "", nil, err
	}
	if err := t.claimJob(); err != nil {
		return "", nil, err
	}
	if orphan != nil {
		return orphan.ID, orphan, t.holdName(*orphan, false)
	}
	if err := t.stillGiven(); err != nil {
		return "", nil, err
	}
	if t.denied != nil {
		return "", nil, t.denied
	}
	if err := t.claimName(r.Name); err != nil {
		return "", nil, err
	}
	defer func() {
		if errors.Is(err, dockerapi.ErrNameInUse) {
			t.keepsName(t.name)
		}
	}()
	if err := t.look(r); err != nil {
		return "", nil, err
	}
	config := t.config(r)
	if err := t.pool.Secrets.Fill(&config, r.Secrets); err != nil {
		return "", nil, err
	}
	when := cmp.Or(r.Pull, t.pool.Pull)
	if when == "always" {
		if err := t.pull(r.Image, r.Spec.Platform, false); err != nil {
			return "", nil, err
		}
	}
	pulled := when != "missing"
	var since time.Time // when the wait for the name began; zero: not waiting
	for n := 0; ; {
		var created dockerapi.Created
		err := t.try(func() (err error) {
			if !t.creation.unanswered && t.wasCancelled() {
				return errCancelled
			}
			t.creation.asked = time.Now()
			created, err = t.pool.Docker.CreateContainer(t.ctx, t.name, config)
			if errors.Is(err, dockerapi.ErrUnreachable) && !engine.NeverSent(err) {
				t.creation.unanswered = true
			}
			return err
		})
		switch {
		case err == nil:
			for _, w := range created.Warnings {
				t.log.Warn("engine warns of the container", "container", t.name, "warning", w)
			}
			t.creation.warnings = created.Warnings
			return created.ID, nil, nil
		case errors.Is(err, dockerapi.ErrNoSuchImage) && !pulled:
			pulled = true
			if err := t.pull(r.Image, r.Spec.Platform, true); err != nil {
				return "", nil, err
			}
			continue
		case errors.Is(err, dockerapi.ErrNoSuchImage) && when == "never":
			because := "--pull never"
			if r.Pull != "" {
				because = `"Pull": "never"`
			}
			return "", nil, fmt.Errorf("%w (not pulled, because of %s)", err, because)
		case !errors.Is(err, dockerapi.ErrNameInUse):
			return "", nil, err
		}

		holder, inspectErr := t.inspect(t.name)
		switch {
		case errors.Is(inspectErr, dockerapi.ErrNoSuchContainer):
			// The holder was removed meanwhile; or the engine is still creating it, and does not show it yet.
		case inspectErr != nil:
			return "", nil, inspectErr
		case holder.State.Status == "removing" && !holder.State.Ended():
			// It never started, and is about to be removed: wait, even if it is ours.
		case t.owns(r, holder):
			t.pool.jobs.adopt(t, holder)
			return holder.ID, &holder, t.claimJob() // without a message_id it has another id now
		case t.pool.jobs.isLingering(holder.ID):
			if err := t.takeName(holder); err != nil {
				return "", nil, err
			}
			continue
		case t.earlierAttempt(holder) && holder.State.Ended() && holder.State.Status != "removing":
			if err := t.try(func() error { return t.discard(holder.ID, false) }); err != nil {
				return "", nil, err
			}
			continue
		case holder.State.Status == "removing":
		case holder.Labels[LabelJob] == t.id && t.pool.jobs.held(holder.ID, t):
			// The task of an earlier delivery of this message has the container, and removes it once settled.
			if err := delay.Sleep(t.ctx, delay.Backoff(n, 50*time.Millisecond, time.Second)); err != nil {
				return "", nil, err
			}
			n++
			continue
		case holder.Labels[LabelRemove] != "true" || !holder.State.Ended():
			return "", nil, err
		}
		patience := leaving
		switch {
		case inspectErr != nil && (t.creation.unanswered || t.again.Load()):
			patience = creating
		case inspectErr == nil && holder.State.Status == "removing" && t.earlierAttempt(holder):
			patience = removalTakes
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < patience {
			t.log.Debug("name taken by a container that seems about to go or to come; waiting", "container", t.name)
			if err := delay.Sleep(t.ctx, delay.Backoff(n, 50*time.Millisecond, time.Second)); err != nil {
				return "", nil, err
			}
			n++
			continue
		}
		if inspectErr != nil || !t.made(holder) {
			return "", nil, err
		}
		switch taken := t.takeName(holder); {
		case errors.Is(taken, dockerapi.ErrConflict), errors.Is(taken, dockerapi.ErrRemovalInProgress):
			return "", nil, err // it is still being removed
		case taken != nil:
			return "", nil, taken
		}
		since = time.Time{}
	}
}

// discardUnstarted removes the container ref if it is the job's, unless it has started after all.
func (t *task) discardUnstarted(r *message.Run, ref string) error {
	c, err := t.pool.Docker.InspectContainer(t.ctx, ref)
	switch {
	case errors.Is(err, dockerapi.ErrNoSuchContainer):
		return nil
	case err != nil:
		return err
	case !c.State.StartedAt.IsZero() || c.ID != t.container && !t.owns(r, c):
		return nil
	}
	return t.discard(c.ID, false)
}

// takeName renames an ended container of a job: the run can then have the name. That job is about to remove the
// container, or cannot: its broker is away, or its process was killed. Its redelivered message finds it by labels.
func (t *task) takeName(holder dockerapi.Container) error {
	name := message.DerivedName + "ended-" + holder.ID[:min(12, len(holder.ID))]
	err := t.try(func() error { return t.pool.Docker.RenameContainer(t.ctx, holder.ID, name) })
	switch {
	case err == nil:
		t.log.Info("renamed an ended container that is about to be removed, because its name is needed", "container", t.name, "renamed", name)
	case errors.Is(err, dockerapi.ErrNoSuchContainer):
		err = nil
	}
	return err
}

// orphan finds the container that an earlier process left for this message, by its labels.
//
// A container marked for removal is removed once its message is settled. If it exists, it belongs to an unsettled
// message like this. Without a message_id it does not matter which of several equal messages that is. With a
// message_id the name is not enough, because takeName may have renamed the container. Other runs may want a chosen
// name. Its container is therefore looked up even if the delivery is not marked redelivered.
func (t *task) orphan(r *message.Run) (*dockerapi.Container, error) {
	labels := []string{LabelQueue + "=" + t.queue, LabelDigest + "=" + t.digest}
	if r.Retry != nil {
		labels = append(labels, LabelAttempt+"="+strconv.Itoa(t.attempt))
	}
	switch {
	case t.stable && (t.again.Load() || r.Name != ""):
		labels = append(labels, LabelJob+"="+t.id)
	case !t.stable && t.again.Load() && r.Remove && r.Foreground():
		labels = append(labels, LabelRemove+"=true")
	default:
		return nil, nil
	}
	list, err := t.labelled(labels...)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if !t.like(s.Labels) || !t.pool.jobs.claim(s.ID, t) {
			continue
		}
		c, err := t.inspect(s.ID)
		if errors.Is(err, dockerapi.ErrNoSuchContainer) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t.pool.jobs.adopt(t, c)
		return &c, nil
	}
	t.pool.jobs.has(t, "")
	return nil, nil
}

// made reports whether a container was made for a message of the task's queue. No other container is ever renamed or
// removed to free a name.
func (t *task) made(c dockerapi.Container) bool {
	return c.Labels[LabelJob] != "" && t.ofQueue(c.Labels)
}

// earlierAttempt reports whether a container that has our name belongs to another attempt of this job. Once it has
// ended, it is removed to free the name.
func (t *task) earlierAttempt(c dockerapi.Container) bool {
	n, err := strconv.Atoi(c.Labels[LabelAttempt])
	return err == nil && n != t.attempt && c.Labels[LabelDigest] == t.digest && t.ofQueue(c.Labels) && c.Labels[LabelJob] == t.id
}

// owns reports whether a container that has our name is this job's, and claims it. The answer to our create was lost,
// or an earlier process with the same message created it.
func (t *task) owns(r *message.Run, c dockerapi.Container) bool {
	if !t.like(c.Labels) || r.Retry != nil && c.Labels[LabelAttempt] != strconv.Itoa(t.attempt) {
		return false
	}
	if c.Labels[LabelJob] == t.id {
		return t.pool.jobs.claim(c.ID, t)
	}
	// Without a message_id each process makes up a new id. The name, the digest and the broker's redelivered flag
	// must be enough.
	return !t.stable && t.again.Load() && r.Name != "" && t.pool.jobs.claim(c.ID, t)
}

// config returns the create request for the job's container.
func (t *task) config(r *message.Run) dockerapi.ContainerConfig {
	labels := t.labels(r.Remove)
	if r.Retry != nil {
		labels[LabelAttempt] = strconv.Itoa(t.attempt)
	}
	return r.Request(labels, t.attempt)
}

// connect connects an unstarted container to those of its networks that it is not in yet. Engines before API 1.44
// accept only one network in a create.
func (t *task) connect(r *message.Run, c dockerapi.Container) error {
	if len(r.Networks) < 2 {
		return nil
	}
	for _, n := range r.Networks {
		if slices.Contains(c.Networks, n.Name) {
			continue
		}
		err := t.retry(func() error { return t.pool.Docker.ConnectNetwork(t.ctx, n.Name, c.ID, n.Endpoint) })
		if err != nil {
			return err
		}
	}
	return nil
}
