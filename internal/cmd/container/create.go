package container

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A creation records how a task's container was created. Only the task's goroutine uses it.
type creation struct {
	asked      time.Time // when the last create request was sent
	unanswered bool      // a create request may have been carried out without an answer
	warnings   []string  // the engine's warnings in its answer
}

// create creates the run's container, or finds the container that an earlier request created. In that case found is
// the container as inspected, else nil.
func (t *Work) create(r *message.Run) (id string, found *dockerapi.Container, err error) {
	if found, err = t.orphan(r); err == nil {
		err = t.Carrier.Hosts.Placed(&t.Task, r.Placement, found != nil)
	}
	if err == nil && found == nil && t.Denied == nil {
		err = t.Carrier.Hosts.FollowsName(&t.Task, r)
	}
	if err == nil {
		err = t.Carrier.Hosts.ClaimJob(&t.Task)
	}
	switch {
	case err != nil:
		return "", nil, err
	case found != nil:
		return found.ID, found, t.Carrier.Hosts.HoldName(&t.Task, *found)
	}
	if err = cmp.Or(t.Carrier.Hosts.StillGiven(&t.Task), t.Denied); err == nil {
		err = t.Carrier.Hosts.ClaimName(&t.Task, r.Name)
	}
	if err != nil {
		return "", nil, err
	}
	return t.createAnew(r)
}

// createAnew is create for a run that has no container as far as its labels tell. It pulls the image if that is missing.
func (t *Work) createAnew(r *message.Run) (id string, found *dockerapi.Container, err error) {
	config, when := t.config(r), cmp.Or(r.Pull, t.Carrier.Pull)
	if err = t.look(r); err == nil {
		err = t.Carrier.Secrets.Fill(&config, r.Secrets)
	}
	if err == nil && when == "always" {
		err = t.pull(r.Image, r.Spec.Platform, false)
	}
	for wait := new(nameWait); err == nil && found == nil; {
		id, err = t.askCreate(config)
		switch {
		case errors.Is(err, dockerapi.ErrNoSuchImage) && when == "missing":
			when = "" // only once
			err = t.pull(r.Image, r.Spec.Platform, true)
		case errors.Is(err, dockerapi.ErrNoSuchImage) && when == "never":
			because := "--pull never"
			if r.Pull != "" {
				because = `"Pull": "never"`
			}
			err = fmt.Errorf("%w (not pulled, because of %s)", err, because)
		case errors.Is(err, dockerapi.ErrNameInUse):
			if found, err = t.awaitName(wait, r, err); found != nil {
				id = found.ID
			}
		case err == nil:
			return id, nil, nil
		}
	}
	return id, found, err
}

// askCreate asks the engine to create the container.
func (t *Work) askCreate(config dockerapi.ContainerConfig) (id string, err error) {
	var created dockerapi.Created
	err = t.try(func() (err error) {
		if !t.creation.unanswered && t.WasCancelled() {
			return live.ErrCancelled
		}
		t.creation.asked = time.Now()
		created, err = t.Carrier.Docker.CreateContainer(t.Ctx, t.Name, config)
		if errors.Is(err, dockerapi.ErrUnreachable) && !engine.NeverSent(err) {
			t.creation.unanswered = true
		}
		return err
	})
	for _, w := range created.Warnings {
		t.Log.Warn("engine warns of the container", "container", t.Name, "warning", w)
	}
	t.creation.warnings = created.Warnings
	return created.ID, err
}

// orphan finds the container that an earlier process left for this message, by its labels.
//
// A container marked for removal is removed once its message is settled. If it exists, it belongs to an unsettled
// message like this. Without a message_id it does not matter which of several equal messages that is. With a
// message_id the name is not enough, because takeName may have renamed the container. Other runs may want a chosen
// name. Its container is therefore looked up even if the delivery is not marked redelivered.
func (t *Work) orphan(r *message.Run) (*dockerapi.Container, error) {
	labels := []string{identity.LabelQueue + "=" + t.Queue, identity.LabelDigest + "=" + t.Digest}
	if r.Retry != nil {
		labels = append(labels, identity.LabelAttempt+"="+strconv.Itoa(t.Attempt))
	}
	switch {
	case t.Stable && (t.WasRedelivered() || r.Name != ""):
		labels = append(labels, identity.LabelJob+"="+t.ID)
	case !t.Stable && t.WasRedelivered() && r.Remove && r.Foreground():
		labels = append(labels, identity.LabelRemove+"=true")
	default:
		return nil, nil
	}
	list, err := t.labelled(labels...)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if !t.Like(s.Labels) || !t.TakeContainer(s.ID) {
			continue
		}
		c, err := t.Inspect(s.ID)
		if errors.Is(err, dockerapi.ErrNoSuchContainer) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t.Adopt(c)
		return &c, nil
	}
	t.SetContainer("")
	return nil, nil
}

// config returns the create request for the job's container.
func (t *Work) config(r *message.Run) dockerapi.ContainerConfig {
	labels := t.Labels(r.Remove)
	if r.Retry != nil {
		labels[identity.LabelAttempt] = strconv.Itoa(t.Attempt)
	}
	return r.Request(labels, t.Attempt)
}

// connect connects an unstarted container to those of its networks that it is not in yet. Engines before API 1.44
// accept only one network in a create.
func (t *Work) connect(r *message.Run, c dockerapi.Container) error {
	if len(r.Networks) < 2 {
		return nil
	}
	for _, n := range r.Networks {
		if slices.Contains(c.Networks, n.Name) {
			continue
		}
		err := t.retry(func() error { return t.Carrier.Docker.ConnectNetwork(t.Ctx, n.Name, c.ID, n.Endpoint) })
		if err != nil {
			return err
		}
	}
	return nil
}
