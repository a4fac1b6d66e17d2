package container

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// change carries out a change of the container id that takes one call. If an answer was lost or the message was
// redelivered, the call is a repeat. Then done reports whether its error shows that an earlier call was carried out.
// A call that starts the container has no done: see onceMore.
func (t *Work) change(id string, call func() error, done func(err error) bool) (*event.Result, error) {
	err := t.try(t.onceMore(call, done))
	return t.ContainerResult(id, err)
}

// onceMore wraps call: a repeat succeeds if done reports that an earlier call was carried out. Without done, a repeat is
// sent only if the container's start time is unchanged: otherwise the program would run twice.
func (t *Work) onceMore(call func() error, done func(err error) bool) func() error {
	again, lost := t.WasRedelivered(), false
	return func() error {
		if lost && done == nil {
			if c, err := t.Carrier.Docker.InspectContainer(t.Ctx, t.On.ID); err != nil || !c.State.StartedAt.Equal(t.On.State.StartedAt) {
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

// askEnd ends the container id by call. The run of the container and the execs in it are told first that their end was
// asked for. A restart ends only the execs.
func (t *Work) askEnd(id string, call func() error) error {
	runs := slices.DeleteFunc(t.Carrier.Jobs.Runs(id), func(r *live.Task) bool {
		return r.At() >= live.Exited || r.Traits.Runs && !t.Traits.Ends
	})
	if r := t.Carrier.Jobs.ByID(t.On.Labels[identity.LabelJob]); r != nil && t.Traits.Ends && r.Traits.Runs && r.At() < live.Created && r.Like(t.On.Labels) {
		runs = append(runs, r) // it is to adopt the container
	}
	for _, r := range runs {
		r.EndAsked.Add(1)
	}
	if t.Traits.Ends { // the message of its run may come later, to this new process
		t.Carrier.Jobs.Asks(id)
	}
	err := t.try(call)
	if err != nil && !final(err) { // the engine has refused it
		for _, r := range runs {
			r.EndAsked.Add(-1)
		}
		t.Carrier.Jobs.AsksNot(id)
	}
	return err
}

// removedSoon is why a container is not started that its run, which has ended, is about to remove. To the run's publisher it does not exist
// any more, and a start would repeat the work of the run.
func (t *Work) removedSoon(id string) error {
	return fmt.Errorf("%w: %s ran with Remove and has ended, and is about to be removed", dockerapi.ErrNoSuchContainer, cmp.Or(t.Name, id))
}

// is reports whether state holds for the container id.
func (t *Work) is(id string, state func(dockerapi.State) bool) bool {
	c, err := t.Carrier.Docker.InspectContainer(t.Ctx, id)
	return err == nil && state(c.State)
}

func (t *Work) doStop(s *message.Stop) (*event.Result, error) {
	lost := false
	err := t.askEnd(s.Container, func() error {
		if lost && t.is(s.Container, dockerapi.State.Ended) { // ended by the stop whose answer was lost
			return nil
		}
		err := t.Carrier.Docker.StopContainer(t.Ctx, s.Container, dockerapi.StopOptions{Time: s.Time, Own: t.On.StopTimeout, Signal: s.Signal})
		lost = errors.Is(err, dockerapi.ErrUnreachable)
		return err
	})
	return t.ContainerResult(s.Container, err)
}

func (t *Work) doRestart(s *message.Restart) (*event.Result, error) {
	err := t.askEnd(s.Container, t.onceMore(func() error {
		if !t.RestartsContainer(s.Container) {
			return t.removedSoon(s.Container)
		}
		return t.Carrier.Docker.RestartContainer(t.Ctx, s.Container, dockerapi.StopOptions{Time: s.Time, Own: t.On.StopTimeout, Signal: s.Signal})
	}, nil))
	return t.ContainerResult(s.Container, err)
}

func (t *Work) doKill(k *message.Kill) (*event.Result, error) {
	call := t.onceMore(func() error {
		return t.Carrier.Docker.KillContainer(t.Ctx, k.Container, k.Signal)
	}, func(err error) bool {
		return errors.Is(err, dockerapi.ErrConflict) && t.is(k.Container, dockerapi.State.Ended)
	})
	ask := t.try
	if t.Traits.Ends {
		ask = func(call func() error) error { return t.askEnd(k.Container, call) }
	}
	return t.ContainerResult(k.Container, ask(call))
}

func (t *Work) doRemove(r *message.Remove) (*event.Result, error) {
	for _, run := range t.Carrier.Jobs.Runs(r.Container) {
		if run.EndAsked.Load() > 0 && t.On.State.Ended() { // it may have ignored a kill's signal
			t.letEnd(run)
		}
	}
	// If a repeat does not find the container, our earlier request removed it, and its answer was lost.
	again := t.WasRedelivered()
	ask := t.try
	if r.Force {
		ask = func(call func() error) error { return t.askEnd(r.Container, call) }
	}
	err := ask(func() error {
		err := t.Carrier.Docker.RemoveContainer(t.Ctx, r.Container, dockerapi.RemoveOptions{Volumes: r.Volumes, Force: r.Force})
		switch {
		case errors.Is(err, dockerapi.ErrRemovalInProgress):
			return t.gone(r.Container, err)
		case errors.Is(err, dockerapi.ErrNoSuchContainer) && again:
			return nil
		}
		again = again || errors.Is(err, dockerapi.ErrUnreachable)
		return err
	})
	if err == nil {
		err = t.Carrier.Hosts.AfterRemoval(&t.Task, *t.On)
	}
	return t.ContainerResult(r.Container, err)
}

// letEnd waits until the run of a stopped container has read its exit, before the container is removed.
func (t *Work) letEnd(run *live.Task) {
	timer := time.NewTimer(2 * t.Carrier.Idle)
	defer timer.Stop()
	select {
	case <-run.Reached(live.Ended):
	case <-timer.C:
	case <-t.Ctx.Done():
	}
}

func (t *Work) doPause(p *message.Pause) (*event.Result, error) {
	return t.change(p.Container, func() error {
		return t.Carrier.Docker.PauseContainer(t.Ctx, p.Container)
	}, func(error) bool {
		return t.is(p.Container, func(s dockerapi.State) bool { return s.Paused })
	})
}

func (t *Work) doUnpause(u *message.Unpause) (*event.Result, error) {
	return t.change(u.Container, func() error {
		return t.Carrier.Docker.UnpauseContainer(t.Ctx, u.Container)
	}, func(err error) bool {
		return !errors.Is(err, dockerapi.ErrNoSuchContainer) && t.is(u.Container, func(s dockerapi.State) bool { return s.Running && !s.Paused })
	})
}

func (t *Work) doRename(r *message.Rename) (*event.Result, error) {
	if err := t.Carrier.Hosts.ClaimNewName(&t.Task, *t.On, r.NewName); err != nil {
		return t.ContainerResult(r.Container, err)
	}
	res, err := t.change(r.Container, func() error {
		return t.Carrier.Docker.RenameContainer(t.Ctx, r.Container, r.NewName)
	}, func(error) bool { // engines differ in how they refuse a rename to the present name
		c, err := t.Carrier.Docker.InspectContainer(t.Ctx, r.Container)
		return err == nil && c.Name == r.NewName
	})
	if err == nil && t.Carrier.Hosts.Claims != nil && res.Status == event.Succeeded {
		err = t.Carrier.Hosts.Renamed(&t.Task, *t.On, r.NewName)
	}
	return res, err
}

func (t *Work) doStart(s *message.Start) (*event.Result, error) {
	return t.change(s.Container, func() error {
		if t.Carrier.Jobs.Leaves(s.Container) {
			return t.removedSoon(s.Container)
		}
		return t.Carrier.Docker.StartContainer(t.Ctx, s.Container)
	}, nil)
}

func (t *Work) doWait(w *message.Wait) (*event.Result, error) {
	var code *int
	c, err := t.Inspect(w.Container)
	if err == nil && c.State.StartedAt.IsZero() { // a wait would answer 0 at once
		err = fmt.Errorf("%w: it has never been started, and has no exit code", dockerapi.ErrConflict)
	}
	if err != nil {
		return t.ContainerResult(w.Container, err)
	}
	err = t.tryLong(func() error {
		join, err := t.Carrier.Docker.WaitContainer(t.Ctx, w.Container, dockerapi.NotRunning)
		if err != nil {
			return err
		}
		t.TakesEffect() // the next command on the container may be the stop that ends the wait
		status, err := join()
		code = status.Code
		return err
	})
	unseen := false
	if err == nil && code != nil && (*code == 0 || *code == exitUnknown) { // may be made up by an engine that was down
		if c, err = t.Inspect(w.Container); err == nil {
			unseen, err = t.endedAtRestart(c.State)
		} else if errors.Is(err, dockerapi.ErrNoSuchContainer) {
			err = nil // it was removed as it ended
		}
	}
	r, err := t.ContainerResult(w.Container, err)
	if err == nil && r.Status == event.Succeeded {
		r.ExitCode = code
		switch {
		case unseen:
			setUnknown(r, exitUnseen)
		case code == nil:
			setUnknown(r, "the engine does not know the container's exit code")
		}
	}
	return r, err
}
