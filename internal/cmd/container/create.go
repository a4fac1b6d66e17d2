package container

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
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
		err = t.Carrier.Hosts.ClaimRun(&t.Task, r, found)
	}
	switch {
	case err != nil:
		return "", nil, err
	case found != nil:
		return found.ID, found, nil
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
	for s := range list.apart() {
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

// look returns a [*policy.DeniedError] if a volume or a network that a run names is another thing on the engine than its name
// says. It asks the engine only about names that can be.
func (t *Work) look(r *message.Run) error {
	if t.Rules.Trust {
		return nil
	}
	for _, name := range r.Volumes() {
		if t.Rules.Lists("Volume", name) {
			continue
		}
		v, err := ask(t, func() (v dockerapi.Volume, err error) {
			v, _, err = t.Carrier.Docker.InspectVolume(t.Ctx, name)
			return v, err
		})
		if err != nil {
			return err
		}
		if len(v.Options) > 0 || v.Driver != "" && v.Driver != "local" {
			return &policy.DeniedError{
				Err: fmt.Errorf("the volume %s", flagval.Quote(name)),
				Why: policy.Because("it has a driver's options, which can name a path of the host", "Allow.Volume"),
			}
		}
	}
	for _, n := range r.Networks {
		if strings.Trim(n.Name, "0123456789abcdef") != "" {
			continue // it is no id
		}
		found, err := ask(t, func() (got dockerapi.Network, err error) {
			got, _, err = t.Carrier.Docker.InspectNetwork(t.Ctx, n.Name)
			return got, err
		})
		if err != nil {
			return err
		}
		if found.Name != "" && found.Name != n.Name && !t.Rules.ListsNetwork(n.Name, found.Name) {
			return &policy.DeniedError{
				Err: fmt.Errorf("Options.Network: %s", flagval.Quote(n.Name)),
				Why: "because it is the id of a network, not its name: give the name",
			}
		}
	}
	return nil
}
