package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// leaving is how long what is about to go may keep its name from a run that wants it: a settling that nothing
// disturbs takes less. Then a container of ours that has ended is renamed, and anything else has the name.
const leaving = 2 * time.Second

// creating is how long a create may take. The engine reserves the name first: until the create is done, another create
// is refused, and an inspect knows no such container.
const creating = 2 * time.Minute

// A creation is what is known of the making of a task's container. It is the task's goroutine's alone.
type creation struct {
	asked      time.Time // when the engine was last asked for it
	unanswered bool      // the engine may have carried that out without answering
	warnings   []string  // what the engine said when it had
}

// create makes the run's container, or finds it where an earlier request made it. found is then
// what it is like.
func (t *task) create(r *message.Run) (id string, found *dockerapi.Container, err error) {
	orphan, err := t.orphan(r)
	if err != nil {
		return "", nil, err
	}
	if orphan != nil {
		return orphan.ID, orphan, nil
	}
	policy := cmp.Or(r.Pull, t.pool.Pull)
	if policy == "always" {
		if err := t.pull(r.Image, r.Spec.Platform); err != nil {
			return "", nil, err
		}
	}
	pulled := policy != "missing"
	var since time.Time // the name has been waited for since then; zero: it has not
	for n := 0; ; {
		var created dockerapi.Created
		err := t.try(func() (err error) {
			if !t.creation.unanswered && t.wasCancelled() {
				return errCancelled
			}
			t.creation.asked = time.Now()
			created, err = t.pool.Docker.CreateContainer(t.ctx, t.name, t.config(r))
			if errors.Is(err, dockerapi.ErrUnreachable) && !neverSent(err) {
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
			if err := t.pull(r.Image, r.Spec.Platform); err != nil {
				return "", nil, err
			}
			continue
		case errors.Is(err, dockerapi.ErrNoSuchImage) && policy == "never":
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
			// Gone since, and the name is free; or the engine is still making the container, and does not show it.
		case inspectErr != nil:
			return "", nil, inspectErr
		case holder.State.Status == "removing" && !holder.State.Ended():
			// Never started, and soon no more.
		case t.owns(r, holder):
			t.pool.jobs.adopt(t, holder)
			return holder.ID, &holder, nil
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
			// That of an earlier delivery of this message, which is being settled and will remove it.
			if err := pause(t.ctx, backoff(n, 50*time.Millisecond, time.Second)); err != nil {
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
			if err := pause(t.ctx, backoff(n, 50*time.Millisecond, time.Second)); err != nil {
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

// discardUnanswered removes a container that the engine has made without ever saying so.
func (t *task) discardUnanswered(r *message.Run) error {
	c, err := t.pool.Docker.InspectContainer(t.ctx, t.name)
	switch {
	case errors.Is(err, dockerapi.ErrNoSuchContainer):
		return nil
	case err != nil:
		return err
	case !t.owns(r, c):
		return nil
	}
	return t.discardUnstarted(c.ID)
}

// discardUnstarted removes a container of the job, but not if it has started after all.
func (t *task) discardUnstarted(id string) error {
	c, err := t.pool.Docker.InspectContainer(t.ctx, id)
	switch {
	case errors.Is(err, dockerapi.ErrNoSuchContainer):
		return nil
	case err != nil:
		return err
	case !c.State.StartedAt.IsZero():
		return nil
	}
	return t.discard(id, false)
}

// takeName frees the name from a container of a job that has ended and is not settled, or never will
// be: its broker is away, or its process was killed. A message that asks for it finds it by its labels.
func (t *task) takeName(holder dockerapi.Container) error {
	name := message.DerivedName + "ended-" + holder.ID[:min(12, len(holder.ID))]
	err := t.try(func() error { return t.pool.Docker.RenameContainer(t.ctx, holder.ID, name) })
	switch {
	case err == nil:
		t.log.Info("name taken by a container that has ended and is to be removed; that was renamed", "container", t.name, "renamed", name)
	case errors.Is(err, dockerapi.ErrNoSuchContainer):
		err = nil
	}
	return err
}

// orphan finds the container that an earlier process left for this message, by its labels.
//
// A container that is marked for removal is gone once its message is settled, so that one that is there
// belongs to an unsettled message like this; without a message_id, which of several equal ones does not
// matter. With a message_id the name would do, but for a container that was renamed; and one with a name
// of its own may have been, to make room.
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
	var list []dockerapi.ContainerSummary
	err := t.try(func() (err error) {
		list, err = t.pool.Docker.ListContainers(t.ctx, dockerapi.ListOptions{All: true, Labels: labels})
		return err
	})
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

// made tells whether a container was made for a message of the task's queue. No other is ever renamed or removed to
// make room.
func (t *task) made(c dockerapi.Container) bool {
	return c.Labels[LabelJob] != "" && t.ofQueue(c.Labels)
}

// earlierAttempt tells whether a container that has our name is that of another attempt of this job: it makes
// room for this one.
func (t *task) earlierAttempt(c dockerapi.Container) bool {
	n, err := strconv.Atoi(c.Labels[LabelAttempt])
	return err == nil && n != t.attempt && c.Labels[LabelDigest] == t.digest && t.ofQueue(c.Labels) && c.Labels[LabelJob] == t.id
}

// owns tells whether a container that has our name is this job's: one that a lost answer to our
// create, or an earlier process with the same message, left behind.
func (t *task) owns(r *message.Run, c dockerapi.Container) bool {
	if !t.like(c.Labels) || r.Retry != nil && c.Labels[LabelAttempt] != strconv.Itoa(t.attempt) {
		return false
	}
	if c.Labels[LabelJob] == t.id {
		return t.pool.jobs.claim(c.ID, t)
	}
	// Without a message_id the id is new with each process: the name, the digest and the broker's
	// word that the message was delivered before must do.
	return !t.stable && t.again.Load() && r.Name != "" && t.pool.jobs.claim(c.ID, t)
}

// config is the request for the job's container.
func (t *task) config(r *message.Run) dockerapi.ContainerConfig {
	labels := t.labels(r.Remove)
	if r.Retry != nil {
		labels[LabelAttempt] = strconv.Itoa(t.attempt)
	}
	return r.Request(labels, t.attempt)
}

// connect connects a container that has not started to those of its networks that it is not in: engines
// before API 1.44 take only one when it is created.
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
