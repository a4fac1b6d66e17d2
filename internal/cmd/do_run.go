package cmd

import (
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// doRun carries a run out: create, attach, register the wait, start, drain, read the exit. Whatever
// breaks on the way, the container itself says how far it has come, so that every break is met by
// looking at it and going on from there.
func (t *task) doRun(r *message.Run) (event.Result, func() error, error) {
	res := t.result()
	res.Image = r.Image
	id, found, unanswered, err := t.create(r)
	if err != nil {
		if final(err) {
			return event.Result{}, nil, err
		}
		setError(&res, err)
		if unanswered {
			return res, func() error { return t.discardUnanswered(r) }, nil
		}
		return res, nil, nil
	}
	t.container.Store(&id)
	res.Job, res.ContainerID, res.ContainerName, res.Warnings = t.id, id, t.name, t.warnings

	f := &following{task: t, run: r, id: id, startSent: found != nil && (!unanswered || !t.stable && t.again.Load())}
	if r.Foreground() && (r.Stdout || r.Stderr) {
		f.out = t.output(t.name)
	}
	if found != nil && !found.State.StartedAt.IsZero() {
		f.adopted, f.missed = true, true
		res.Adopted = true
	}
	state, err := f.follow()
	if err != nil && final(err) {
		return event.Result{}, nil, err
	}
	f.captured(&res)
	switch {
	case err != nil:
		setError(&res, err)
		res.Status = event.Errored // a container that is gone took its exit code with it
		switch {
		case errors.As(err, new(*brokenError)) && !f.startedAt.IsZero():
			res.Error += "; the container may go on: look at it first"
		case f.missed && !errors.Is(err, errMayHaveRun):
			res.Error += "; the engine did not answer the start of the container, so that the job may have run"
		}
		if f.startedAt.IsZero() {
			// It would be in the way of the same message sent again.
			return res, func() error { return t.discardUnstarted(id) }, nil
		}
		return res, nil, nil
	case !r.Foreground():
		res.Status, res.StartedAt = event.Succeeded, new(f.startedAt.UTC())
		if r.Remove {
			t.afterwards = f.removeAtEnd
		}
		return res, nil, nil
	}
	asked := t.endAsked.Load() > 0
	killed, err := f.killed(state, asked)
	if err != nil {
		return event.Result{}, nil, err
	}
	setExit(&res, state, asked, killed, f.overdue)
	unseen, err := f.unseen(state)
	if err != nil {
		return event.Result{}, nil, err
	}
	if unseen {
		setUnknown(&res, exitUnseen)
	}
	if r.Retry != nil {
		setAttempts(&res, r.Retry, t.attempt, asked)
	}
	if r.Remove {
		return res, func() error { return t.discard(id, false) }, nil
	}
	return res, nil, nil
}

func (t *task) doCreate(c *message.Create) (event.Result, func() error, error) {
	id, _, _, err := t.create(&c.Run)
	if err == nil && len(c.Networks) > 1 {
		var made dockerapi.Container
		if made, err = t.inspect(id); err == nil {
			err = t.try(func() error { return t.connect(&c.Run, made) })
		}
	}
	if err != nil && final(err) {
		return event.Result{}, nil, err
	}
	r := t.result()
	r.Image = c.Image
	if err == nil {
		t.container.Store(&id)
		r.ContainerID = id
	}
	setDone(&r, err)
	return r, nil, nil
}
