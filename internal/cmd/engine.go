package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Docker is what the commands ask of an engine: the part of *dockerapi.Client that they use.
type Docker interface {
	Ping(ctx context.Context) (dockerapi.Version, error)
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
	AttachContainer(ctx context.Context, id string, o dockerapi.AttachOptions) (join func() error, err error)
	RemembersCreation(ctx context.Context, c dockerapi.Container) (bool, error)
	RemembersKill(ctx context.Context, c dockerapi.Container, signal int) (bool, error)
	EngineStarted(ctx context.Context) (time.Time, error)
	ContainerLogs(ctx context.Context, id string, o dockerapi.LogsOptions) (join func() error, err error)
	ConnectNetwork(ctx context.Context, network, id string, e dockerapi.EndpointSettings) error
	CreateExec(ctx context.Context, containerID string, cfg dockerapi.ExecConfig) (id string, err error)
	StartExec(ctx context.Context, execID string, o dockerapi.AttachOptions) (join func() error, err error)
	StartExecDetached(ctx context.Context, execID string) error
	InspectExec(ctx context.Context, execID string) (dockerapi.Exec, error)
	PullImage(ctx context.Context, ref string, o dockerapi.PullOptions, progress func(dockerapi.PullProgress)) error
}

var _ Docker = (*dockerapi.Client)(nil)

const (
	pingFirst  = 250 * time.Millisecond // delay before the engine is asked again, doubling
	pingMost   = 15 * time.Second
	pingSteady = time.Minute // an engine that answered for this long starts the delays afresh
)

// engine knows whether the engine can be reached, and keeps the gate accordingly.
type engine struct {
	docker Docker
	gate   *Gate
	log    *slog.Logger
	away   atomic.Int64 // when it was last lost, or did not answer, in nanoseconds since 1970
	back   atomic.Int64 // when it answered again, likewise
}

// missed tells whether the engine may have been away after a time, as far as this process knows. One that is
// killed and started anew at once answers each time that it is asked.
func (e *engine) missed(since time.Time) bool { return since.UnixNano() < e.away.Load() }

// watch asks the engine until it answers, opens the gate, and begins again when lost has closed it.
// It returns when ctx ends.
func (e *engine) watch(ctx context.Context) {
	var opened time.Time
	var said string // logged once a change
	for attempt := 0; ; {
		open, changed := e.gate.State()
		if open {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			if time.Since(opened) > pingSteady {
				attempt = 0
			}
			continue
		}
		if attempt > 0 && pause(ctx, backoff(attempt-1, pingFirst, pingMost)) != nil {
			return
		}
		attempt++
		v, err := e.docker.Ping(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			e.log.Info("engine answers", "server", v.Server, "api", v.API)
			said, opened = "", time.Now()
			e.back.Store(opened.UnixNano())
			e.gate.Set(true)
		default:
			e.away.Store(time.Now().UnixNano())
			if err.Error() == said {
				continue
			}
			said = err.Error()
			e.log.Warn("engine does not answer; no messages are taken until it does", "error", err)
		}
	}
}

// pingShort is how long an engine may take to show that it is there.
const pingShort = 5 * time.Second

// answers tells whether the engine is there although a call to it has broken. It may have been killed and be back,
// so that this counts as an absence all the same.
func (e *engine) answers(ctx context.Context) bool {
	e.away.Store(time.Now().UnixNano())
	ctx, cancel := context.WithTimeout(ctx, pingShort)
	defer cancel()
	if _, err := e.docker.Ping(ctx); err != nil {
		return false
	}
	e.back.Store(time.Now().UnixNano())
	return true
}

// lost records that a call did not reach the engine, or that its answer did not come.
func (e *engine) lost(err error) {
	e.away.Store(time.Now().UnixNano())
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

// neverSent says that a call failed before any of it reached the engine, so that nothing was begun.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" && errors.Is(err, dockerapi.ErrUnreachable)
}
