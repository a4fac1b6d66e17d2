// Package exits learns how containers exit.
package exits

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// An Exit is how a container exited, or why that is not known.
type Exit struct {
	Code *int // nil: the engine does not know
	Err  error
}

// Docker is the part of *dockerapi.Client that Exits use.
type Docker interface {
	WatchExits(ctx context.Context, label string) (join func(exited func(id string, s dockerapi.ExitStatus)) error, err error)
}

// Exits learn from one stream of the engine how the containers with a label exit. A run that starts while the stream is open
// needs no wait, which would take a connection and a goroutine for as long as the run lasts.
type Exits struct {
	engine *engine.Engine
	docker Docker
	gate   *intake.Gate
	label  string // as KEY=VALUE
	log    *slog.Logger

	mu      sync.Mutex
	open    intake.Gate           // while a stream is; set with mu held
	awaited map[string]func(Exit) // by the container's id; empty while no stream is open
	misses  int                   // how many events in a row did not come
	missed  time.Time             // when the last of them was noticed, or the stream was tried since
}

// MostMisses is how many events in a row may not come before the stream is not relied on. The engine drops an event if its
// reader is slow. A proxy that buffers answers passes none on.
const MostMisses = 3

// triedAfter is how long after MostMisses one run relies on the stream again, to try it.
const triedAfter = 5 * time.Minute

// opensSoon is how long a run whose stream has ended waits for the next one.
const opensSoon = 5 * time.Second

// New returns Exits. Watch opens their stream.
func New(e *engine.Engine, docker Docker, gate *intake.Gate, label string, log *slog.Logger) *Exits {
	return &Exits{engine: e, docker: docker, gate: gate, label: label, log: log, awaited: make(map[string]func(Exit))}
}

// mostBreaks bounds how often in a row the stream is opened again.
const mostBreaks = 5

// Await has the next exit of a container told, by a function that must not wait. If the stream ends first, its error is told.
// It returns false if there is no stream to rely on, or ctx has ended. Call it before the start, or inspect the container after it.
// After the end of ctx, call Forget.
func (e *Exits) Await(ctx context.Context, id string, told func(Exit)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	open, _ := e.open.State()
	unreliable := e.misses >= MostMisses && time.Since(e.missed) < triedAfter
	if !open || unreliable || ctx.Err() != nil {
		return false
	}
	e.missed = time.Now() // else all runs would try it
	e.awaited[id] = told
	return true
}

// AwaitAgain is Await after the stream has ended: it waits a little for the next one.
func (e *Exits) AwaitAgain(ctx context.Context, id string, told func(Exit)) bool {
	soon, cancel := context.WithTimeout(ctx, opensSoon)
	defer cancel()
	return e.open.Wait(soon) == nil && e.Await(ctx, id, told)
}

// Awaits reports whether the exit of a container is awaited, and was not told yet.
func (e *Exits) Awaits(id string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.awaited[id] != nil
}

// Missed records that the event of a container that has exited did not come.
func (e *Exits) Missed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.missed = time.Now()
	if e.misses++; e.misses == MostMisses {
		e.log.Warn("the engine's stream of exits is open, and leaves exits out; each run has a wait of its own")
	}
}

// Forget ends an Await, and reports whether nothing was told.
func (e *Exits) Forget(id string) (was bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	was = e.awaited[id] != nil
	delete(e.awaited, id)
	return was
}

// Awaited returns how many exits are awaited, and how many events in a row did not come. open: there is a stream.
func (e *Exits) Awaited() (exits, misses int, open bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	open, _ = e.open.State()
	return len(e.awaited), e.misses, open
}

// tell tells the exit of a container, if it is awaited.
func (e *Exits) tell(id string, s dockerapi.ExitStatus) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if told := e.awaited[id]; told != nil {
		told(Exit{Code: s.Code})
		delete(e.awaited, id) // only one is awaited
		e.misses = 0
	}
}

// follow reads the stream to its end.
func (e *Exits) follow(ctx context.Context) error {
	join, err := e.docker.WatchExits(ctx, e.label)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.misses = 0
	e.open.Set(true)
	e.mu.Unlock()
	err = join(e.tell)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open.Set(false)
	for _, told := range e.awaited {
		told(Exit{Err: err})
	}
	e.awaited = make(map[string]func(Exit))
	return err
}

// Watch keeps the stream open while the engine answers. If the engine has none, as Podman and some proxies, or breaks it off
// again and again, Watch asks again after the engine was lost. It returns when ctx ends.
func (e *Exits) Watch(ctx context.Context) {
	none := false
	for attempt := 0; ; {
		open, changed := e.gate.State()
		if !open || none || e.engine.Podman() {
			select {
			case <-changed:
				none = false
				continue
			case <-ctx.Done():
				return
			}
		}
		began := time.Now()
		err := e.follow(ctx)
		unreachable := errors.Is(err, dockerapi.ErrUnreachable)
		answers := !unreachable || e.engine.Answers(ctx)
		if time.Since(began) > engine.Steady {
			attempt = 0
		}
		switch {
		case ctx.Err() != nil:
			return
		case !answers:
			e.engine.Lost(err)
		case attempt < mostBreaks && (unreachable || errors.Is(err, dockerapi.ErrTemporary)):
			e.log.Info("the engine broke off its stream of exits; opening it again", "error", err)
		default:
			e.log.Info("the engine has no stream of exits; each run has a wait of its own", "error", err)
			none, attempt = true, 0
			continue
		}
		if delay.Sleep(ctx, delay.Backoff(attempt, engine.PingFirst, engine.PingMost)) != nil {
			return
		}
		attempt++
	}
}
