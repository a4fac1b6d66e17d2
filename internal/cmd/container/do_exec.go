package container

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// execPoll is the longest delay between two inspects of an exec. The engine has no call that waits for an exec's end.
const execPoll = 500 * time.Millisecond

// exitKilled is the exit code of a program that SIGKILL has ended.
const exitKilled = 128 + 9

func (t *Work) doExec(e *message.Exec) (*event.Result, error) {
	c := t.On
	t.Enters(c.ID)
	input := e.Interactive || e.Input != nil
	env, err := t.Carrier.Secrets.Variables(e.Env)
	if err != nil {
		return t.ContainerResult(e.Container, err)
	}
	id, err := ask(t, func() (string, error) {
		return t.Carrier.Docker.CreateExec(t.Ctx, c.ID, dockerapi.ExecConfig{
			Cmd: e.Cmd, Env: env, User: e.User, WorkingDir: e.Workdir, Privileged: e.Privileged, Tty: e.Tty,
			AttachStdin: input, AttachStdout: !e.Detach, AttachStderr: !e.Detach,
		})
	})
	if err != nil {
		return t.ContainerResult(e.Container, err)
	}
	if e.Detach {
		_, err := t.startExec(id, func() error { return t.Carrier.Docker.StartExecDetached(t.Ctx, id) })
		return t.ContainerResult(e.Container, err)
	}
	out := t.output(e.Container)
	var words []byte
	o := dockerapi.AttachOptions{Stdout: firstWords{&out.Stdout, &words}, Stderr: firstWords{&out.Stderr, &words}, Tty: e.Tty}
	var join func() error
	missed, err := t.startExec(id, func() (err error) {
		if input {
			o.Stdin = bytes.NewReader(e.Input)
		}
		join, err = t.Carrier.Docker.StartExec(t.Ctx, id, o)
		return err
	})
	if err != nil {
		return t.ContainerResult(e.Container, err)
	}
	t.TakesEffect()
	if !missed {
		missed = join() != nil
	}
	end, err := t.execEnd(id)
	if end.NeverRan {
		err = dockerapi.StartError(e.Container, end, string(words))
	}
	// When a container ends, the engine kills its execs by SIGKILL, and forgets them.
	asked := t.EndAsked.Load() > 0
	gone := errors.Is(err, dockerapi.ErrNoSuchExec) || errors.Is(err, dockerapi.ErrNoSuchContainer)
	if asked && gone {
		err = nil
	}
	r, err := t.ContainerResult(e.Container, err)
	if err != nil {
		return r, err
	}
	out.End(r, missed)
	switch {
	case asked && gone:
		r.Status, r.Error = event.Stopped, "its container ended as a message asked"
	case r.Status == event.Succeeded:
		setExit(r, dockerapi.State{ExitCode: end.ExitCode}, asked && end.ExitCode != nil && *end.ExitCode == exitKilled, false, nil)
	}
	return r, nil
}

// A firstWords keeps the beginning of an output: the engine's own words if it could not start the program.
type firstWords struct {
	io.Writer
	kept *[]byte
}

func (w firstWords) Write(p []byte) (int, error) {
	*w.kept = append(*w.kept, p[:min(len(p), max(0, 1024-len(*w.kept)))]...)
	return w.Writer.Write(p)
}

// execEnd waits until an exec whose output has ended has exited.
func (t *Work) execEnd(id string) (dockerapi.Exec, error) {
	for n := 0; ; n++ {
		end, err := ask(t, func() (dockerapi.Exec, error) { return t.Carrier.Docker.InspectExec(t.Ctx, id) })
		switch {
		case err != nil && final(err):
			return end, err
		case err != nil:
			return end, fmt.Errorf("the engine has forgotten the exec and its exit code; the program may have done its work: %w", err)
		case !end.Running && (end.ExitCode != nil || n >= maxRetries):
			return end, nil // without an exit code it was not started, or is about to be
		}
		if err := delay.Sleep(t.Ctx, delay.Backoff(n, 20*time.Millisecond, execPoll)); err != nil {
			return end, err
		}
	}
}

// startExec starts an exec, which the engine does at most once. missed: a request whose answer was lost has started the
// exec, and the output is lost too.
func (t *Work) startExec(id string, start func() error) (missed bool, err error) {
	sent := false
	err = t.try(func() error {
		if sent {
			e, err := t.Carrier.Docker.InspectExec(t.Ctx, id)
			switch {
			case err != nil:
				return err
			case e.NeverRan:
				return dockerapi.StartError(id, e, "")
			case e.Running || e.Pid != 0:
				missed = true
				return nil
			}
		}
		err := start()
		if sent && errors.Is(err, dockerapi.ErrConflict) {
			missed, err = true, nil // it was about to start when we looked
		}
		sent = sent || err != nil && !engine.NeverSent(err)
		return err
	})
	return missed, err
}
