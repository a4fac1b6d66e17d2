package container

import (
	"cmp"
	"context"
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// doRun carries out a run: create, attach, register the wait, start, drain, read the exit. After any failure the
// container itself tells how far the run has come. doRun then inspects the container and goes on from there.
func (t *Work) doRun(r *message.Run) (*event.Result, error) {
	id, found, err := t.create(r)
	if err != nil {
		res, err := t.ContainerResult("", err)
		if err != nil {
			return nil, err
		}
		res.Image = r.Image
		if t.creation.unanswered {
			t.Cleanup = func() error { return t.discardUnstarted(r, t.Name) } // the engine may have created it
		}
		return res, nil
	}
	t.madeContainer(id)
	f := &following{Work: t, run: r, id: id, flooded: make(chan struct{}), startSent: found != nil && (!t.creation.unanswered || !t.Stable && t.WasRedelivered())}
	if r.Foreground() && (r.Stdout || r.Stderr) {
		f.out = t.output(t.Name)
		f.out.Limit(t.Rules.Output(), f.floods)
	}
	if found != nil && !found.State.StartedAt.IsZero() {
		f.adopted, f.missed = true, true
		if t.Carrier.Jobs.WasAsked(id) && t.EndAsked.Load() == 0 {
			t.EndAsked.Add(1)
		}
	}
	state, err := f.follow()
	return f.ended(state, err)
}

// ended returns the result of a following that has ended. It is apart from doRun for the stack: there its variables would
// take room while the run goes on.
func (f *following) ended(state dockerapi.State, err error) (*event.Result, error) {
	t, run, id := f.Work, f.run, f.id // cleanup outlives f
	if err != nil && final(err) {
		return nil, err
	}
	res := t.Result()
	res.Image, res.Adopted = f.run.Image, f.adopted
	f.captured(res)
	switch {
	case err != nil:
		setError(res, err)
		res.Status = event.Errored // not failed: the exit code of a removed container is unknown
		switch {
		case errors.As(err, new(*brokenError)) && !f.startedAt.IsZero():
			res.Error += "; the container may still be running: inspect it before you send the message again"
		case f.missed && !errors.Is(err, errMayHaveRun):
			res.Error += "; the engine did not answer the start of the container, and the program may have run"
		}
		if f.startedAt.IsZero() {
			// Otherwise it would hold the name when the same message is sent again.
			t.Cleanup = func() error { return t.discardUnstarted(run, id) }
		}
		return res, nil
	case !f.run.Foreground():
		res.Status, res.StartedAt = event.Succeeded, new(f.startedAt.UTC())
		if f.run.Remove {
			f.AtEnd = f.removeAtEnd
		}
		return res, nil
	}
	asked := f.EndAsked.Load() > 0
	killed, err := f.killed(state, asked)
	if err != nil {
		return nil, err
	}
	setExit(res, state, asked, killed, f.over)
	unseen, err := f.unseen(state)
	if err != nil {
		return nil, err
	}
	if unseen {
		setUnknown(res, exitUnseen)
	}
	if f.run.Retry != nil {
		setAttempts(res, f.run.Retry, f.Attempt, asked)
	}
	if f.run.Remove {
		t.Cleanup = func() error { return t.discard(id, false) }
	}
	return res, nil
}

// madeContainer records that the job has a container.
func (t *Work) madeContainer(id string) {
	t.SetContainer(id)
	t.To(live.Created)
	t.Log.Debug("container is there", "container", t.Name, "id", id[:min(12, len(id))])
}

func (t *Work) doCreate(c *message.Create) (*event.Result, error) {
	id, _, err := t.create(&c.Run)
	if err == nil && len(c.Networks) > 1 {
		var made dockerapi.Container
		if made, err = t.Inspect(id); err == nil {
			err = t.try(func() error { return t.connect(&c.Run, made) })
		}
	}
	if err == nil {
		t.madeContainer(id)
	}
	failed := err != nil
	r, err := t.ContainerResult("", err)
	if err != nil {
		return nil, err
	}
	r.Image = c.Image
	if failed && (id != "" || t.creation.unanswered) { // otherwise it would hold the name when the same message is sent again
		t.Cleanup = func() error { return t.discardUnstarted(&c.Run, cmp.Or(id, t.Name)) }
	}
	return r, nil
}

// removeAtEnd waits until a detached container has exited, and removes it. If the process stops first, the container
// stays, marked by its label for the sweep.
func (f *following) removeAtEnd() {
	ctx, cancel := closed.Context(f.Ctx, f.Carrier.Stopping)
	defer cancel()
	f.Ctx = ctx
	var err error
	for err == nil {
		err = f.tryLong(func() error {
			join, err := f.Carrier.Docker.WaitContainer(ctx, f.id, dockerapi.NotRunning)
			if err != nil {
				return err
			}
			_, err = join()
			return err
		})
		by := f.Carrier.Jobs.Restarting(f.id)
		if err != nil || by == nil {
			break
		}
		err = f.awaitRestart(ctx, by)
	}
	switch {
	case err == nil:
		f.Clean(f.removeEnded)
	case !final(err) && !errors.Is(err, dockerapi.ErrNoSuchContainer):
		f.Log.Warn("container not removed, because its end cannot be waited for; remove it by hand after its end", "container", f.Name, "error", err)
	}
}

// removeEnded removes a detached container that has exited.
func (f *following) removeEnded() error {
	if f.Carrier.Hosts.Claims != nil {
		if _, err := f.Carrier.Hosts.AwaitNote(&f.Task); errors.Is(err, hosts.ErrNoNote) {
			return nil // the container stays for the sweep
		} else if err != nil {
			return err
		}
		c, err := f.Carrier.Docker.InspectContainer(f.Ctx, f.id) // it may have been renamed
		if err == nil {
			err = f.Carrier.Hosts.ForgetContainer(f.Ctx, f.Place.VHost, c)
		}
		if err != nil && !errors.Is(err, dockerapi.ErrNoSuchContainer) {
			return err
		}
	}
	return f.discard(f.id, false)
}

// A message may restart the container of a run. Then the run goes on: it is over when its container has exited and no restart is under way.

// awaitRestart waits until a restart of the container is over; nil: it is.
func (f *following) awaitRestart(ctx context.Context, by *live.Task) error {
	if by == nil {
		return nil
	}
	select {
	case <-by.Reached(live.Ended):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
