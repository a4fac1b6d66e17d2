package container

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// creating is how long a create may take. The engine reserves the name first. Until the create is done, the engine
// refuses another create of that name, and an inspect finds no such container.
const creating = 2 * time.Minute

// A nameWait is a run's wait for a name that another container has.
type nameWait struct {
	since  time.Time // when the run began to wait for the present holder of the name; zero: it has not
	pauses int
}

func (w *nameWait) pause(ctx context.Context) error {
	w.pauses++
	return delay.Sleep(ctx, delay.Backoff(w.pauses-1, 50*time.Millisecond, time.Second))
}

// awaitName is called after the engine has refused a create because of the name. Without found and err, the create is to be
// asked again: the name may be free. found is the container that has the name, if that is the run's own. err is refused if the
// name does not become free.
func (t *Work) awaitName(w *nameWait, r *message.Run, refused error) (found *dockerapi.Container, err error) {
	holder, err := t.Inspect(t.Name)
	gone := errors.Is(err, dockerapi.ErrNoSuchContainer)
	ended, removing := holder.State.Ended(), holder.State.Status == "removing"
	switch {
	case gone:
		// The holder was removed meanwhile; or the engine is still creating it, and does not show it yet.
	case err != nil:
		return nil, err
	case removing && !ended:
		// It never started, and is about to be removed: wait, even if it is ours.
	case t.owns(r, holder):
		before := t.JobKey(t.ID)
		t.Adopt(holder)
		return &holder, t.Carrier.Hosts.ClaimAnew(&t.Task, before)
	case t.Carrier.Jobs.IsLingering(holder.ID):
		return nil, t.takeName(holder)
	case removing:
	case t.EarlierAttempt(holder.Labels) && ended:
		return nil, t.try(func() error { return t.discard(holder.ID, false) })
	case holder.Labels[identity.LabelJob] == t.ID && t.Carrier.Jobs.Held(holder.ID, &t.Task):
		// The task of an earlier delivery of this message has the container, and removes it once settled.
		return nil, w.pause(t.Ctx)
	case holder.Labels[identity.LabelRemove] != "true" || !ended:
		return nil, refused
	}
	patience := hosts.Leaving
	switch {
	case gone && (t.creation.unanswered || t.WasRedelivered()):
		patience = creating
	case removing && t.EarlierAttempt(holder.Labels):
		patience = removalTakes
	}
	if w.since.IsZero() {
		w.since = time.Now()
	}
	if time.Since(w.since) < patience {
		t.Log.Debug("name taken by a container that seems about to go or to come; waiting", "container", t.Name)
		return nil, w.pause(t.Ctx)
	}
	if gone || !t.Made(holder.Labels) {
		return nil, refused
	}
	w.since = time.Time{}
	err = t.takeName(holder)
	if errors.Is(err, dockerapi.ErrConflict) || errors.Is(err, dockerapi.ErrRemovalInProgress) {
		return nil, refused // it is still being removed
	}
	return nil, err
}

// takeName renames an ended container of a job: the run can then have the name. That job is about to remove the
// container, or cannot: its broker is away, or its process was killed. Its redelivered message finds it by labels.
func (t *Work) takeName(holder dockerapi.Container) error {
	name := message.DerivedName + "ended-" + holder.ID[:min(12, len(holder.ID))]
	err := t.try(func() error { return t.Carrier.Docker.RenameContainer(t.Ctx, holder.ID, name) })
	switch {
	case err == nil:
		t.Log.Info("renamed an ended container that is about to be removed, because its name is needed", "container", t.Name, "renamed", name)
	case errors.Is(err, dockerapi.ErrNoSuchContainer):
		err = nil
	}
	return err
}

// owns reports whether a container that has our name is this job's, and claims it. The answer to our create was lost,
// or an earlier process with the same message created it.
func (t *Work) owns(r *message.Run, c dockerapi.Container) bool {
	if !t.Like(c.Labels) || r.Retry != nil && c.Labels[identity.LabelAttempt] != strconv.Itoa(t.Attempt) {
		return false
	}
	if c.Labels[identity.LabelJob] == t.ID {
		return t.TakeContainer(c.ID)
	}
	// Without a message_id each process makes up a new id. The name, the digest and the broker's redelivered flag
	// must be enough.
	return !t.Stable && t.WasRedelivered() && r.Name != "" && t.TakeContainer(c.ID)
}
