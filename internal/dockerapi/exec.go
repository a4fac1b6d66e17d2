package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// ExecConfig is a command to be run in a container that runs already. What is
// left empty is not sent.
type ExecConfig struct {
	// Cmd is the program and its arguments; the image's Entrypoint has no part
	// in it.
	Cmd []string `json:",omitempty"`

	// Env entries are NAME=VALUE, on top of the container's.
	Env []string `json:",omitempty"`

	User       string `json:",omitempty"` // USER or UID, or with :GROUP; "" is the container's
	WorkingDir string `json:",omitempty"` // "" is the container's
	Privileged bool   `json:",omitempty"`

	// Tty merges stdout and stderr, turns \n into \r\n, and drops the framing.
	Tty bool `json:",omitempty"`

	// The Attach fields are the streams that the command has at all. What
	// [Client.StartExec] asks for beyond them stays silent.
	AttachStdin  bool `json:",omitempty"`
	AttachStdout bool `json:",omitempty"`
	AttachStderr bool `json:",omitempty"`
}

// Exec is what the engine knows about an exec.
type Exec struct {
	ContainerID string // 64 hex digits
	Running     bool   // false also before the start

	// ExitCode is that of the command, or 128 and the signal that ended it; nil
	// while it runs, before it has been started, and where it is not known.
	//
	// Of a command that could not be run it is 126, on newer engines also 127;
	// on Podman 126 or 127.
	ExitCode *int

	// Pid is that of the command on the engine's host. It stays when the
	// command has ended, but not on Podman. One that could not be run has 0.
	Pid int

	// NeverRan: the start failed inside the container, as far as that can be
	// known: Podman does not tell. The engine's words are the output.
	NeverRan bool
}

// StartError is why an exec that never ran did not: by the engine's words, which
// are the beginning of its output, or else by its exit code. Its kinds are those
// of [Client.StartExecDetached].
func StartError(execID string, e Exec, output string) error {
	if words := oneLine(output[:min(len(output), maxMessage)]); words != "" {
		return &Error{Op: opStartExec, Target: execID, Status: http.StatusOK, Message: words}
	}
	doing := describe(opStartExec, execID)
	if *e.ExitCode == 127 {
		return fmt.Errorf("%s: %w", doing, ErrCommandNotFound)
	}
	return fmt.Errorf("%s: it cannot be executed, or not as this user or in this directory (exit code %d)", doing, *e.ExitCode)
}

// CreateExec prepares a command to be run in a running container, and returns
// the id to start it by. Nothing runs yet. The engine keeps it until the
// container ends.
//
// Errors: [ErrNoSuchContainer]; [ErrConflict] (the container does not run, or is
// paused); [ErrInvalid].
//
// API: POST /containers/{id}/exec.
func (c *Client) CreateExec(ctx context.Context, containerID string, cfg ExecConfig) (id string, err error) {
	r, err := container(opCreateExec, http.MethodPost, containerID, "/exec")
	if err != nil {
		return "", err
	}
	if len(cfg.Cmd) == 0 {
		return "", r.refuse("there is no command to run")
	}
	if err := checkArguments(r, ContainerConfig{Cmd: cfg.Cmd, Env: cfg.Env}); err != nil {
		return "", err
	}
	if r.body, err = json.Marshal(cfg); err != nil {
		return "", r.refuse("%v", err)
	}
	r.want = []int{http.StatusCreated}
	r.limit = c.limits.read
	r.doubt = "it may have been created, and does not run"
	r.replayable = true // one that is never started does nothing
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

// StartExec runs the command of an exec with the streams of o, of which Tty has
// to be that of its config. It returns when the engine has them connected, and
// join then copies until the command has closed them; what join returns, and
// when, is as with [Client.AttachContainer]. Then [Client.InspectExec] tells the
// exit code, which may be there an instant later.
//
// The engine runs the command only behind the header of its answer. That it
// cannot be run is therefore no error: the reason comes as a line of output, on
// stdout from Docker and on stderr from Podman, and the exit code is 126 or 127.
// That it was started before comes from Docker in the same way, and never runs
// it again.
//
// After [ErrUnreachable] it may run or have run. Cancelling ctx ends its stdin
// and our part of its output, not the command.
//
// Errors: [ErrNoSuchExec]; [ErrConflict] (the container is paused; on Podman
// also: it has ended, or the exec was started before).
//
// API: POST /exec/{id}/start, upgraded to a raw connection.
func (c *Client) StartExec(ctx context.Context, execID string, o AttachOptions) (join func() error, err error) {
	r, err := startExec(execID, false, o.Tty)
	if err != nil {
		return nil, err
	}
	return c.attach(ctx, r, o)
}

// StartExecDetached runs the command of an exec without streams, and returns
// when it runs.
//
// Where the command cannot be run the error is [ErrCommandNotFound] or
// [ErrNotExecutable]. Other errors: [ErrNoSuchExec]; [ErrConflict] (started
// before, or the container is paused, or on Podman has ended). After
// [ErrUnreachable] it may run or have run.
//
// API: POST /exec/{id}/start.
func (c *Client) StartExecDetached(ctx context.Context, execID string) error {
	r, err := startExec(execID, true, false)
	if err != nil {
		return err
	}
	r.want = []int{http.StatusOK}
	r.limit = c.limits.change
	r.doubt = "it may run"
	// Not replayable: an engine that has started it does not start it again,
	// and the second answer would be a conflict with the first.
	return c.do(ctx, r, nil)
}

func startExec(id string, detach, tty bool) (*request, error) {
	r, err := execRequest(opStartExec, http.MethodPost, id, "/start")
	if err != nil {
		return nil, err
	}
	r.body, err = json.Marshal(struct{ Detach, Tty bool }{detach, tty})
	if err != nil { // two booleans
		panic(err)
	}
	return r, nil
}

// InspectExec tells the state of an exec. Podman 4 tells the end of a detached
// one minutes late. Its errors: [ErrNoSuchExec], also when its container has
// ended since.
//
// API: GET /exec/{id}/json.
func (c *Client) InspectExec(ctx context.Context, execID string) (Exec, error) {
	r, err := execRequest(opInspectExec, http.MethodGet, execID, "/json")
	if err != nil {
		return Exec{}, err
	}
	r.want = []int{http.StatusOK}
	r.limit = c.limits.read
	var answer struct {
		ContainerID string
		Running     *bool
		ExitCode    *int // null while it runs
		Pid         int
	}
	if err := c.do(ctx, r, &answer); err != nil {
		return Exec{}, err
	}
	if answer.Running == nil {
		return Exec{}, c.broken(ctx, ctx, r, &garbledError{err: errors.New("its answer does not tell whether the command runs")})
	}
	e := Exec{ContainerID: answer.ContainerID, Running: *answer.Running, Pid: answer.Pid}
	if !e.Running {
		e.ExitCode = knownExit(answer.ExitCode)
		code := e.ExitCode
		e.NeverRan = code != nil && (*code == 126 || *code == 127) && e.Pid == 0 && !c.podman(ctx)
	}
	return e, nil
}

// execRequest makes the request of an endpoint below /exec/{id}.
func execRequest(op, method, id, endpoint string) (*request, error) {
	r := &request{op: op, target: id, method: method}
	if err := r.checkSegment("exec id", id); err != nil {
		return nil, err
	}
	r.path = "/exec/" + url.PathEscape(id) + endpoint
	return r, nil
}
