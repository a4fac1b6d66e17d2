package cmd

import (
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Remove removes a container, as `docker rm` does.
type Remove struct {
	Ref
	Volumes bool // its anonymous volumes too
	Force   bool // killed first if it runs
}

var (
	removeKeys    = refKeys(func(r *Remove) *Ref { return &r.Ref })
	removeOptions = []key[Remove]{
		boolKey("Volumes", "remove its anonymous volumes too", func(r *Remove) *bool { return &r.Volumes }),
		boolKey("Force", "kill it first if it runs", func(r *Remove) *bool { return &r.Force }),
	}
)

// Verb implements Command.
func (r *Remove) Verb() string { return "remove" }

// wasDone implements repeatable.
func (r *Remove) wasDone(*task) bool { return true }

func (r *Remove) do(t *task) (Result, func() error, error) {
	for _, run := range t.pool.jobs.runs(r.Container) {
		if run.stopped.Load() {
			t.letEnd(run)
		}
	}
	// What is gone when we ask again went by our own earlier request, whose answer was lost.
	again := t.again.Load()
	ask := t.try
	if r.Force {
		ask = func(call func() error) error { return t.askEnd(r.Container, call) }
	}
	err := ask(func() error {
		err := t.pool.Docker.RemoveContainer(t.ctx, r.Container, dockerapi.RemoveOptions{Volumes: r.Volumes, Force: r.Force})
		switch {
		case errors.Is(err, dockerapi.ErrRemovalInProgress):
			return t.gone(r.Container, err)
		case errors.Is(err, dockerapi.ErrNoSuchContainer) && again:
			return nil
		}
		again = again || errors.Is(err, dockerapi.ErrUnreachable)
		return err
	})
	return t.containerResult(r.Container, err)
}

// letEnd waits for a run whose container was stopped to read its exit, before the container goes.
func (t *task) letEnd(run *task) {
	timer := time.NewTimer(2 * t.pool.idle)
	defer timer.Stop()
	select {
	case <-run.over:
	case <-timer.C:
	case <-t.ctx.Done():
	}
}
