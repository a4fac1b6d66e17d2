package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// change carries out a change of the container id that is one call. There are two calls where the
// first answer was lost, or the message was delivered before: done tells whether the refusal of the
// second shows that the first was carried out. It is nil for a call that starts the container: see onceMore.
func (t *task) change(id string, call func() error, done func(err error) bool) (event.Result, error) {
	err := t.try(t.onceMore(call, done))
	return t.containerResult(id, err)
}

// onceMore makes a call of call that knows by done whether it was made before. Without done it knows by the container's
// start, before it calls again: otherwise the program would run twice.
func (t *task) onceMore(call func() error, done func(err error) bool) func() error {
	again, lost := t.again.Load(), false
	return func() error {
		if lost && done == nil {
			if c, err := t.pool.Docker.InspectContainer(t.ctx, t.on.ID); err != nil || !c.State.StartedAt.Equal(t.on.State.StartedAt) {
				return err
			}
		}
		err := call()
		if (again || lost) && err != nil && done != nil && done(err) {
			return nil
		}
		lost = lost || errors.Is(err, dockerapi.ErrUnreachable)
		return err
	}
}

// askEnd asks for the end of a container by call, which is then no surprise to the run that has it, nor to the execs in
// it. A restart ends only those.
func (t *task) askEnd(id string, call func() error) error {
	runs := slices.DeleteFunc(t.pool.jobs.runs(id), func(r *task) bool {
		return t.pool.jobs.at(r) >= phaseExited || r.traits.Runs && !t.traits.Ends
	})
	for _, r := range runs {
		r.endAsked.Add(1)
	}
	err := t.try(call)
	if err != nil && !final(err) { // the engine has refused it
		for _, r := range runs {
			r.endAsked.Add(-1)
		}
	}
	return err
}

// resolve asks the engine which container a command is for: a name, an id or the beginning of one says that only
// to the engine, and not for long. From then on the command goes by the full id. over: there is nothing more to do.
func (t *task) resolve(r *message.Ref) (over bool, err error) {
	if r.Job != "" {
		if over, err = t.ofJob(r); over {
			return true, err
		}
	}
	if err == nil {
		t.on, err = t.inspect(r.Container)
	}
	switch {
	case err == nil:
		r.Container = t.on.ID
	case errors.Is(err, dockerapi.ErrNoSuchContainer) && t.again.Load() && t.wasDone():
		return true, nil
	}
	return false, err
}

// lookInto is the container of a command that gets into it, where the policy allows that.
func (t *task) lookInto() (dockerapi.Container, error) {
	return t.on, t.mayLookInto(t.on)
}

// stays is an error where the container id is that of a run which has ended and removes it: to whoever sent
// the run it is no more, and a start would do again what the run did.
func (t *task) stays(id string) error {
	if !t.pool.jobs.leaves(id) {
		return nil
	}
	return fmt.Errorf("%w: %s ran with Remove and has ended, and is about to be removed", dockerapi.ErrNoSuchContainer, cmp.Or(t.name, id))
}

// is tells whether the state of the container id has what the caller looks for.
func (t *task) is(id string, state func(dockerapi.State) bool) bool {
	c, err := t.pool.Docker.InspectContainer(t.ctx, id)
	return err == nil && state(c.State)
}

// wasDone tells whether a command that was delivered before, and finds nothing of its container's name, was carried out then.
func (t *task) wasDone() bool {
	switch c := t.cmd.(type) {
	case *message.Remove:
		return true
	case *message.Rename:
		_, err := t.pool.Docker.InspectContainer(t.ctx, c.NewName)
		return err == nil
	}
	return false
}

func (t *task) doStop(s *message.Stop) (event.Result, error) {
	runs := t.pool.jobs.runs(s.Container)
	lost := false
	err := t.askEnd(s.Container, func() error {
		if lost && t.is(s.Container, dockerapi.State.Ended) { // by the stop whose answer was lost
			return nil
		}
		err := t.pool.Docker.StopContainer(t.ctx, s.Container, dockerapi.StopOptions{Time: s.Time, Own: t.on.StopTimeout, Signal: s.Signal})
		lost = errors.Is(err, dockerapi.ErrUnreachable)
		return err
	})
	if err == nil {
		for _, r := range runs {
			r.stopped.Store(true)
		}
	}
	return t.containerResult(s.Container, err)
}

func (t *task) doRestart(s *message.Restart) (event.Result, error) {
	err := t.askEnd(s.Container, t.onceMore(func() error {
		if err := t.stays(s.Container); err != nil {
			return err
		}
		return t.pool.Docker.RestartContainer(t.ctx, s.Container, dockerapi.StopOptions{Time: s.Time, Own: t.on.StopTimeout, Signal: s.Signal})
	}, nil))
	return t.containerResult(s.Container, err)
}

func (t *task) doKill(k *message.Kill) (event.Result, error) {
	call := t.onceMore(func() error {
		return t.pool.Docker.KillContainer(t.ctx, k.Container, k.Signal)
	}, func(err error) bool {
		return errors.Is(err, dockerapi.ErrConflict) && t.is(k.Container, dockerapi.State.Ended)
	})
	ask := t.try
	if t.traits.Ends {
		ask = func(call func() error) error { return t.askEnd(k.Container, call) }
	}
	return t.containerResult(k.Container, ask(call))
}

func (t *task) doRemove(r *message.Remove) (event.Result, error) {
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
	case <-t.pool.jobs.reached(run, phaseEnded):
	case <-timer.C:
	case <-t.ctx.Done():
	}
}

func (t *task) doPause(p *message.Pause) (event.Result, error) {
	return t.change(p.Container, func() error {
		return t.pool.Docker.PauseContainer(t.ctx, p.Container)
	}, func(error) bool {
		return t.is(p.Container, func(s dockerapi.State) bool { return s.Paused })
	})
}

func (t *task) doUnpause(u *message.Unpause) (event.Result, error) {
	return t.change(u.Container, func() error {
		return t.pool.Docker.UnpauseContainer(t.ctx, u.Container)
	}, func(err error) bool {
		return !errors.Is(err, dockerapi.ErrNoSuchContainer) && t.is(u.Container, func(s dockerapi.State) bool { return s.Running && !s.Paused })
	})
}

func (t *task) doRename(r *message.Rename) (event.Result, error) {
	return t.change(r.Container, func() error {
		return t.pool.Docker.RenameContainer(t.ctx, r.Container, r.NewName)
	}, func(error) bool { // engines differ in how they refuse the name that it has
		c, err := t.pool.Docker.InspectContainer(t.ctx, r.Container)
		return err == nil && c.Name == r.NewName
	})
}

func (t *task) doStart(s *message.Start) (event.Result, error) {
	return t.change(s.Container, func() error {
		if err := t.stays(s.Container); err != nil {
			return err
		}
		return t.pool.Docker.StartContainer(t.ctx, s.Container)
	}, nil)
}

func (t *task) doWait(w *message.Wait) (event.Result, error) {
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
	r, err := t.containerResult(w.Container, err)
	if err == nil && r.Status == event.Succeeded {
		r.ExitCode = code
		switch {
		case unseen:
			setUnknown(&r, exitUnseen)
		case code == nil:
			setUnknown(&r, "the engine does not know the container's exit code")
		}
	}
	return r, err
}

// mayLookInto tells whether a command that gets into a container, or shows what is in it, may have this
// one. One that was not made for the same queue may have been given the host, and holds what is not for
// this queue's publishers.
func (t *task) mayLookInto(c dockerapi.Container) error {
	if t.pool.Policy.Trusts() || t.made(c) {
		return nil
	}
	return &policy.DeniedError{Err: fmt.Errorf("%s of the container %s, which no message of this queue has made", t.traits.Verb, flagval.Quote(c.Name))}
}
