package dockerapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// An ExecConfig is a command to run in a running container. Empty fields are
// not sent.
type ExecConfig struct {
	// Cmd is the program and its arguments, without the Entrypoint of the
	// image.
	Cmd []string `json:",omitempty"`

	// Env entries are NAME=VALUE, added to the container's.
	Env []string `json:",omitempty"`

	User       string `json:",omitempty"` // USER or UID, optionally with :GROUP; "": the container's
	WorkingDir string `json:",omitempty"` // "": the container's
	Privileged bool   `json:",omitempty"`

	// Tty merges stdout and stderr, turns \n into \r\n, and drops the framing.
	Tty bool `json:",omitempty"`

	// The Attach fields are the streams that the command gets. Any other stream
	// that [Client.StartExec] asks for stays silent.
	AttachStdin  bool `json:",omitempty"`
	AttachStdout bool `json:",omitempty"`
	AttachStderr bool `json:",omitempty"`
}

// An Exec is what the engine knows about an exec.
type Exec struct {
	Running bool // false also before the start

	// ExitCode is that of the command, or 128 plus the signal that ended the
	// command. Nil: not started, still running, or unknown.
	//
	// A command that could not run has 126, on newer engines also 127; on
	// Podman 126 or 127.
	ExitCode *int

	// Pid is the command's process id on the engine's host. Docker keeps the
	// pid after the exit; Podman does not. A command that could not run has 0.
	Pid int

	// NeverRan: the start failed inside the container, and the output is the
	// engine's error. Podman does not tell, so NeverRan is then false.
	NeverRan bool
}

// StartError returns why an exec with NeverRan set could not run. The engine's
// error is at the beginning of output. If output is empty, the exit code
// decides. The error kinds are as in [Client.StartExecDetached].
func StartError(execID string, e Exec, output string) error {
	if words := oneLine(output[:min(len(output), maxMessage)]); words != "" {
		return &Error{Op: opStartExec, Target: execID, Status: http.StatusOK, Message: words}
	}
	doing := describe(opStartExec, execID)
	if *e.ExitCode == 127 {
		return fmt.Errorf("%s: %w", doing, ErrCommandNotFound)
	}
	return fmt.Errorf("%s: the command could not be executed (exit code %d); check the file's permissions, the user and the working directory", doing, *e.ExitCode)
}

// CreateExec prepares a command in a running container without running it, and
// returns the id for the start. The engine keeps the exec until the container
// exits.
//
// Errors: [ErrNoSuchContainer]; [ErrConflict] (the container does not run, or
// is paused); [ErrInvalid].
func (c *Client) CreateExec(ctx context.Context, containerID string, cfg ExecConfig) (id string, err error) {
	r := container(opCreateExec, containerID)
	if len(cfg.Cmd) == 0 {
		r.refuse("there is no command to run")
	}
	r.checkArguments(ContainerConfig{Cmd: cfg.Cmd, Env: cfg.Env})
	r.marshal(cfg)
	r.limit = c.limits.read
	r.replayable = true // an exec that is never started does nothing
	var answer struct {
		ID string `json:"Id"`
	}
	if err := c.do(ctx, r, &answer); err != nil {
		return "", err
	}
	if answer.ID == "" {
		return "", c.withoutID(ctx, r)
	}
	return answer.ID, nil
}

// StartExec runs the command of an exec with the streams of o, whose Tty must
// be that of the config. StartExec returns when the engine has connected the
// streams. join then copies until the command has closed them. join ends and
// fails as in [Client.AttachContainer]. After join [Client.InspectExec] returns
// the exit code, perhaps an instant later.
//
// The engine runs the command only after it has sent the header of its answer.
// So a command that cannot run is no error. The reason is a line of output, on
// stdout from Docker and on stderr from Podman. The exit code is 126 or 127.
// Docker reports a second start in the same way, and does not run the command
// again.
//
// After [ErrUnreachable] the command may run or have run. Cancelling ctx ends
// the stdin and our copy of the output, not the command.
//
// Errors: [ErrNoSuchExec]; [ErrConflict] (the container is paused; on Podman
// also: it has exited, or the exec was started before).
func (c *Client) StartExec(ctx context.Context, execID string, o AttachOptions) (join func() error, err error) {
	r := startExec(execID, false, o.Tty)
	call := *r.Call
	call.doubt = "output may be missing" // whether the command runs can be asked
	r.Call = &call
	return c.attach(ctx, r, o)
}

// StartExecDetached runs the command of an exec without streams, and returns
// when the command runs.
//
// If the command cannot run, the error is [ErrCommandNotFound] or
// [ErrNotExecutable]. Other errors: [ErrNoSuchExec]; [ErrConflict] (started
// before, or the container is paused, or on Podman has exited). After
// [ErrUnreachable] the command may run or have run.
func (c *Client) StartExecDetached(ctx context.Context, execID string) error {
	// Not replayable: an engine does not start an exec twice, so the second
	// request would get a conflict.
	r := startExec(execID, true, false)
	return c.do(ctx, r, nil)
}

func startExec(id string, detach, tty bool) *request {
	r := execRequest(opStartExec, id)
	r.marshal(struct{ Detach, Tty bool }{detach, tty})
	return r
}

// InspectExec returns the state of an exec. Podman 4 reports the exit of a
// detached exec minutes late. Errors: [ErrNoSuchExec], also if the container
// has exited since.
func (c *Client) InspectExec(ctx context.Context, execID string) (Exec, error) {
	r := execRequest(opInspectExec, execID)
	r.most = c.longest
	var answer struct {
		Running  *bool
		ExitCode *int // null while it runs
		Pid      int
	}
	if err := c.do(ctx, r, &answer); err != nil {
		return Exec{}, err
	}
	if answer.Running == nil {
		return Exec{}, c.broken(ctx, r.operation, &garbledError{err: errors.New("its answer does not tell whether the command runs")})
	}
	e := Exec{Running: *answer.Running, Pid: answer.Pid}
	if !e.Running {
		e.ExitCode = knownExit(answer.ExitCode)
		code := e.ExitCode
		e.NeverRan = code != nil && (*code == 126 || *code == 127) && e.Pid == 0 && !c.podman(ctx)
	}
	return e, nil
}

// execRequest returns the request of an operation on an exec.
func execRequest(op, id string) *request {
	r := newRequest(op, id)
	r.fill("{id}", "exec id", id)
	return r
}
