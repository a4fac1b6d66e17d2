package cmd

import (
	"errors"
	"fmt"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Wait is done when a container has ended, and tells its exit code, as `docker wait` does.
type Wait struct {
	Ref
}

var waitKeys = refKeys(func(w *Wait) *Ref { return &w.Ref })

// Verb implements Command.
func (w *Wait) Verb() string { return "wait" }

func (w *Wait) do(t *task) (Result, func() error, error) {
	var code *int
	c, err := t.inspect(w.Container)
	if err == nil && c.State.StartedAt.IsZero() { // a wait would answer 0 at once
		err = fmt.Errorf("%w: it has never been started, and has no exit code", dockerapi.ErrConflict)
	}
	if err != nil {
		return t.containerResult(w.Container, err)
	}
	err = t.tryLong(func() error {
		join, err := t.pool.Docker.WaitContainer(t.ctx, w.Container, dockerapi.NotRunning)
		if err != nil {
			return err
		}
		t.tookEffect() // what comes next on the container may be what ends it
		status, err := join()
		code = status.Code
		return err
	})
	unseen := false
	if err == nil && code != nil && (*code == 0 || *code == exitUnknown) { // an engine that was down at the end says so too
		if c, err = t.inspect(w.Container); err == nil {
			unseen, err = t.endedAtRestart(c.State)
		} else if errors.Is(err, dockerapi.ErrNoSuchContainer) {
			err = nil // it was removed as it ended
		}
	}
	r, cleanup, err := t.containerResult(w.Container, err)
	if err == nil && r.Status == Succeeded {
		r.ExitCode = code
		switch {
		case unseen:
			r.unknown(exitUnseen)
		case code == nil:
			r.unknown("the engine does not know the container's exit code")
		}
	}
	return r, cleanup, err
}
