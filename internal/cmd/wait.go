package cmd

import "github.com/mutaphore/docker-dispatch/internal/dockerapi"

// Wait is done when a container has ended, and tells its exit code, as `docker wait` does.
type Wait struct {
	Ref
}

var waitKeys = refKeys(func(w *Wait) *Ref { return &w.Ref })

// Verb implements Command.
func (w *Wait) Verb() string { return "wait" }

func (w *Wait) do(t *task) (Result, func() error, error) {
	var code int
	err := t.try(func() error {
		join, err := t.pool.Docker.WaitContainer(t.ctx, w.Container, dockerapi.NotRunning)
		if err != nil {
			return err
		}
		t.tookEffect() // what comes next on the container may be what ends it
		status, err := join()
		code = status.Code
		return err
	})
	r, cleanup, err := t.containerResult(w.Container, err)
	if err == nil && r.Status == Succeeded {
		r.ExitCode = &code
	}
	return r, cleanup, err
}
