package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Docker is the part of *dockerapi.Client that the commands use.
type Docker interface {
	Ping(ctx context.Context) (dockerapi.Version, error)
	PingWithin(ctx context.Context, limit time.Duration) (dockerapi.Version, error)
	CreateContainer(ctx context.Context, name string, cfg dockerapi.ContainerConfig) (dockerapi.Created, error)
	StartContainer(ctx context.Context, id string) error
	StopContainer(ctx context.Context, id string, o dockerapi.StopOptions) error
	RestartContainer(ctx context.Context, id string, o dockerapi.StopOptions) error
	KillContainer(ctx context.Context, id, signal string) error
	PauseContainer(ctx context.Context, id string) error
	UnpauseContainer(ctx context.Context, id string) error
	RemoveContainer(ctx context.Context, id string, o dockerapi.RemoveOptions) error
	RenameContainer(ctx context.Context, id, name string) error
	InspectContainer(ctx context.Context, id string) (dockerapi.Container, error)
	InspectContainerRaw(ctx context.Context, id string) (json.RawMessage, error)
	ListContainers(ctx context.Context, o dockerapi.ListOptions) ([]dockerapi.ContainerSummary, error)
	WaitContainer(ctx context.Context, id string, cond dockerapi.Condition) (join func() (dockerapi.ExitStatus, error), err error)
	WatchExits(ctx context.Context, label string) (join func(exited func(id string, s dockerapi.ExitStatus)) error, err error)
	AttachContainer(ctx context.Context, id string, o dockerapi.AttachOptions) (join func() error, err error)
	RemembersCreation(ctx context.Context, c dockerapi.Container) (bool, error)
	RemembersKill(ctx context.Context, c dockerapi.Container, signal int) (bool, error)
	EngineStarted(ctx context.Context) (time.Time, error)
	ContainerLogs(ctx context.Context, id string, o dockerapi.LogsOptions) (join func() error, err error)
	InspectVolume(ctx context.Context, name string) (v dockerapi.Volume, found bool, err error)
	InspectNetwork(ctx context.Context, ref string) (n dockerapi.Network, found bool, err error)
	ConnectNetwork(ctx context.Context, network, id string, e dockerapi.EndpointSettings) error
	CreateExec(ctx context.Context, containerID string, cfg dockerapi.ExecConfig) (id string, err error)
	StartExec(ctx context.Context, execID string, o dockerapi.AttachOptions) (join func() error, err error)
	StartExecDetached(ctx context.Context, execID string) error
	InspectExec(ctx context.Context, execID string) (dockerapi.Exec, error)
	PullImage(ctx context.Context, ref string, o dockerapi.PullOptions, progress func(dockerapi.PullProgress)) error
}

var _ Docker = (*dockerapi.Client)(nil)

const (
	pingFirst  = 250 * time.Millisecond // first delay before the next ping; doubles up to pingMost
	pingMost   = 15 * time.Second
	pingEvery  = 15 * time.Second // while it answers: otherwise a daemon without jobs would not notice that it hangs
	pingSteady = time.Minute      // after the engine has answered for this long, the delays start at pingFirst again
)

// An engine tracks whether the Docker Engine answers, and keeps the gate open while it does.
type engine struct {
	docker  Docker
	gate    *intake.Gate
	log     *slog.Logger
	away    atomic.Int64                      // when it was last lost, or did not answer; Unix time in nanoseconds
	back    atomic.Int64                      // when it last answered again; Unix time in nanoseconds
	why     atomic.Pointer[error]             // why it is away; nil: it is not, or was not asked yet
	version atomic.Pointer[dockerapi.Version] // as of its last return; nil: it has not answered yet
}

// errNotAsked is the failure of an engine that was not asked yet.
var errNotAsked = errors.New("it was not asked yet")

// failure returns why the engine is away; nil: it answers.
func (e *engine) failure() error {
	if open, _ := e.gate.State(); open {
		return nil
	}
	if why := e.why.Load(); why != nil {
		return *why
	}
	return errNotAsked
}

// missed reports whether the engine may have been away after since, as far as this process knows. An engine that
// restarts between two calls goes unnoticed.
func (e *engine) missed(since time.Time) bool { return since.UnixNano() < e.away.Load() }

// watch pings the engine until it answers, opens the gate, and starts over when lost has closed the gate.
// It returns when ctx ends.
func (e *engine) watch(ctx context.Context) {
	var opened time.Time
	var said string // the last error logged; an equal error is not logged again
	for attempt := 0; ; {
		open, changed := e.gate.State()
		if open {
			ping := time.After(pingEvery)
			if v := e.version.Load(); v != nil && v.Podman { // systemd ends its service when it is not asked, and starts it anew
				ping = nil
			}
			select {
			case <-changed:
			case <-ping:
				if _, err := e.docker.PingWithin(ctx, pingShort); err != nil && ctx.Err() == nil {
					if _, err = e.docker.PingWithin(ctx, pingEvery); err != nil && ctx.Err() == nil {
						e.lost(err)
					}
				}
				continue
			case <-ctx.Done():
				return
			}
			if time.Since(opened) > pingSteady {
				attempt = 0
			}
			continue
		}
		if attempt > 0 && delay.Sleep(ctx, delay.Backoff(attempt-1, pingFirst, pingMost)) != nil {
			return
		}
		attempt++
		v, err := e.docker.Ping(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			e.version.Store(&v)
			e.log.Info("engine answers", "server", v.Server, "api", v.API)
			said, opened = "", time.Now()
			e.back.Store(opened.UnixNano())
			e.gate.Set(true)
		default:
			e.away.Store(time.Now().UnixNano())
			e.why.Store(&err)
			if err.Error() == said {
				continue
			}
			said = err.Error()
			e.log.Warn("engine does not answer; no messages are taken until it does", "error", err)
		}
	}
}

// pingShort is how long the engine may take to answer the ping after a broken call.
const pingShort = 5 * time.Second

// condition returns whether the engine answers.
func (e *engine) condition() status.Condition {
	if err := e.failure(); err != nil {
		return status.Condition{Name: "engine", State: status.Unmet, Reason: err.Error()}
	}
	c := status.Condition{Name: "engine", State: status.Met, Reason: "it answers"}
	if v := e.version.Load(); v != nil {
		c.Reason = fmt.Sprintf("%s answers, API %s", v.Server, v.API)
	}
	return c
}

// answers reports whether the engine answers a ping after a call has broken. Either way this counts as an absence: the
// engine may have been killed and be back.
func (e *engine) answers(ctx context.Context) bool {
	e.away.Store(time.Now().UnixNano())
	if _, err := e.docker.PingWithin(ctx, pingShort); err != nil {
		return false
	}
	e.back.Store(time.Now().UnixNano())
	return true
}

// lost records that a call did not reach the engine or was not answered, and closes the gate.
func (e *engine) lost(err error) {
	e.away.Store(time.Now().UnixNano())
	e.why.Store(&err)
	if e.gate.Set(false) {
		e.log.Warn("engine lost; no messages are taken until it answers", "error", err)
	}
}

// wait returns when the engine answers, or with the error of ctx.
func (e *engine) wait(ctx context.Context) error {
	for {
		open, changed := e.gate.State()
		if open {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// neverSent reports whether a call failed before any of it reached the engine: then the engine has begun nothing.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" && errors.Is(err, dockerapi.ErrUnreachable)
}
