package cmd

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// resolve asks the engine which container a command is for, and gives the command the full id. Only the engine can look
// up a name or the beginning of an id, and its answer may change. over: there is nothing more to do.
func (t *job) resolve(r *message.Ref) (over bool, err error) {
	if r.Job != "" {
		if over, err = t.ofJob(r); over {
			return true, err
		}
	}
	if err == nil {
		t.on, err = t.inspect(r.Container)
	}
	if r.Job == "" {
		err = t.pool.hosts.MayBeElsewhere(&t.Task, t.on, r.Container, err)
	}
	switch {
	case err == nil:
		if err = t.mayReach(t.on, cmp.Or(r.Job, r.Container)); err == nil {
			r.Container = t.on.ID
		}
	case errors.Is(err, dockerapi.ErrNoSuchContainer) && t.WasRedelivered() && t.wasDone():
		return true, nil
	}
	return false, err
}

// wasDone reports whether a redelivered command that does not find its container was carried out by an earlier delivery.
func (t *job) wasDone() bool {
	if t.Traits.NewName != "" {
		c, err := t.pool.Docker.InspectContainer(t.Ctx, t.Traits.NewName)
		return err == nil && t.mayReach(c, c.Name) == nil
	}
	return t.Traits.Removes
}

// mayReach returns an error if the policy denies commands on the container. A container that no message of this queue has
// made, or no message of this user if the policy says so, may have access to the host, or do another's work. The error names
// the container by ref, as the message does: the publisher may not know its name.
func (t *job) mayReach(c dockerapi.Container, ref string) error {
	if t.Made(c.Labels) && (!t.Rules.OwnUserOnly() || c.Labels[identity.LabelUser] == t.User) {
		return nil
	}
	return t.Rules.AllowsContainer(c.Labels, fmt.Errorf("%s of the container %s", t.Traits.Verb, flagval.Quote(ref)))
}
