// Package engine knows whether the Docker Engine answers.
package engine

import (
	"context"
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

const (
	PingFirst = 250 * time.Millisecond // first delay before the next ping; doubles up to PingMost
	PingMost  = 15 * time.Second
	PingEvery = 15 * time.Second // while it answers: otherwise a daemon without jobs would not notice that it hangs
	Steady    = time.Minute      // after the engine has answered for this long, the delays start at PingFirst again
)

// Docker is the part of *dockerapi.Client that an Engine uses.
type Docker interface {
	Ping(ctx context.Context) (dockerapi.Version, error)
	PingWithin(ctx context.Context, limit time.Duration) (dockerapi.Version, error)
}

// An Engine tracks whether the Docker Engine answers, and keeps the gate open while it does.
type Engine struct {
	docker  Docker
	gate    *intake.Gate
	log     *slog.Logger
	away    atomic.Int64                      // when it was last lost, or did not answer; Unix time in nanoseconds
	back    atomic.Int64                      // when it last answered again; Unix time in nanoseconds
	why     atomic.Pointer[error]             // why it is away; nil: it is not, or was not asked yet
	version atomic.Pointer[dockerapi.Version] // as of its last return; nil: it has not answered yet
}

// New returns an Engine. Watch pings it.
func New(docker Docker, gate *intake.Gate, log *slog.Logger) *Engine {
	return &Engine{docker: docker, gate: gate, log: log}
}

// errNotAsked is the failure of an engine that was not asked yet.
var errNotAsked = errors.New("it was not asked yet")

// Failure returns why the engine is away; nil: it answers.
func (e *Engine) Failure() error {
	if open, _ := e.gate.State(); open {
		return nil
	}
	if why := e.why.Load(); why != nil {
		return *why
	}
	return errNotAsked
}

// Away returns when the engine was last lost, or did not answer.
func (e *Engine) Away() time.Time { return time.Unix(0, e.away.Load()) }

// Back returns when the engine last answered again.
func (e *Engine) Back() time.Time { return time.Unix(0, e.back.Load()) }

// Podman reports whether the engine was a Podman when it last returned.
func (e *Engine) Podman() bool {
	v := e.version.Load()
	return v != nil && v.Podman
}

// Missed reports whether the engine may have been away after since, as far as this process knows. An engine that
// restarts between two calls goes unnoticed.
func (e *Engine) Missed(since time.Time) bool { return since.UnixNano() < e.away.Load() }

// Watch pings the engine until it answers, opens the gate, and starts over when Lost has closed the gate.
// It returns when ctx ends.
func (e *Engine) Watch(ctx context.Context) {
	var opened time.Time
	var said string // the last error logged; an equal error is not logged again
	for attempt := 0; ; {
		open, changed := e.gate.State()
		if open {
			ping := time.After(PingEvery)
			if e.Podman() { // systemd ends its service when it is not asked, and starts it anew
				ping = nil
			}
			select {
			case <-changed:
			case <-ping:
				if _, err := e.docker.PingWithin(ctx, pingShort); err != nil && ctx.Err() == nil {
					if _, err = e.docker.PingWithin(ctx, PingEvery); err != nil && ctx.Err() == nil {
						e.Lost(err)
					}
				}
				continue
			case <-ctx.Done():
				return
			}
			if time.Since(opened) > Steady {
				attempt = 0
			}
			continue
		}
		if attempt > 0 && delay.Sleep(ctx, delay.Backoff(attempt-1, PingFirst, PingMost)) != nil {
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

// Condition returns whether the engine answers.
func (e *Engine) Condition() status.Condition {
	if err := e.Failure(); err != nil {
		return status.Condition{Name: "engine", State: status.Unmet, Reason: err.Error()}
	}
	c := status.Condition{Name: "engine", State: status.Met, Reason: "it answers"}
	if v := e.version.Load(); v != nil {
		c.Reason = fmt.Sprintf("%s answers, API %s", v.Server, v.API)
	}
	return c
}

// Answers reports whether the engine answers a ping after a call has broken. An engine that answers was away too, for Missed: it may
// have restarted during the call.
func (e *Engine) Answers(ctx context.Context) bool {
	e.away.Store(time.Now().UnixNano())
	if _, err := e.docker.PingWithin(ctx, pingShort); err != nil {
		return false
	}
	e.back.Store(time.Now().UnixNano())
	return true
}

// Lost records that a call did not reach the engine or was not answered, and closes the gate.
func (e *Engine) Lost(err error) {
	e.away.Store(time.Now().UnixNano())
	e.why.Store(&err)
	if e.gate.Set(false) {
		e.log.Warn("engine lost; no messages are taken until it answers", "error", err)
	}
}

// Wait returns when the engine answers, or with the error of ctx.
func (e *Engine) Wait(ctx context.Context) error {
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

// NeverSent reports whether a call failed before any of it reached the engine: then the engine has begun nothing.
func NeverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial" && errors.Is(err, dockerapi.ErrUnreachable)
}
