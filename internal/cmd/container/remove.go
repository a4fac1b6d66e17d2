package container

import (
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Clean calls cleanup by try, and logs its failure. Its error is final.
func (t *Work) Clean(cleanup func() error) error {
	err := t.try(cleanup)
	if err == nil || final(err) {
		return err
	}
	t.Log.Error("container not removed; remove it by hand", "container", t.Name, "error", err)
	if t.ContainerID() != "" {
		t.Carrier.Jobs.Retire(t.ContainerID())
	}
	return nil
}

// discard removes the job's container with its anonymous volumes.
func (t *Work) discard(id string, force bool) error {
	err := t.Carrier.Docker.RemoveContainer(t.Ctx, id, dockerapi.RemoveOptions{Volumes: true, Force: force})
	if errors.Is(err, dockerapi.ErrNoSuchContainer) || errors.Is(err, dockerapi.ErrRemovalInProgress) {
		return nil
	}
	return err
}

// discardUnstarted removes the container ref if it is the job's, unless it has started after all.
func (t *Work) discardUnstarted(r *message.Run, ref string) error {
	c, err := t.Carrier.Docker.InspectContainer(t.Ctx, ref)
	switch {
	case errors.Is(err, dockerapi.ErrNoSuchContainer):
		return nil
	case err != nil:
		return err
	case !c.State.StartedAt.IsZero() || c.ID != t.ContainerID() && !t.owns(r, c):
		return nil
	}
	return t.discard(c.ID, false)
}

// removalTakes is how long a removal by another client may take.
const removalTakes = 2 * time.Minute

// gone waits until the container ref is removed. If the container stays, gone returns refused, the engine's answer to
// our own removal.
func (t *Work) gone(ref string, refused error) error {
	for n, began := 0, time.Now(); ; n++ {
		_, err := t.Carrier.Docker.InspectContainer(t.Ctx, ref)
		switch {
		case errors.Is(err, dockerapi.ErrNoSuchContainer):
			return nil
		case err != nil:
			return err
		case time.Since(began) > removalTakes:
			return refused
		}
		if err := delay.Sleep(t.Ctx, delay.Backoff(n, 50*time.Millisecond, 2*time.Second)); err != nil {
			return err
		}
	}
}
