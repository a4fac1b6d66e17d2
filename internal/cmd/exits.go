package cmd

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

// exits learns from one stream of the engine how the queue's containers exit. A run that starts while the stream is open
// needs no wait, which would take a connection and a goroutine for as long as the run lasts.
type exits struct {
	engine *engine.Engine
	docker Docker
	gate   *intake.Gate
	queue  string
	log    *slog.Logger

	mu      sync.Mutex
	awaited map[string]func(exit) // by the container's id; nil: no stream is open
	misses  int                   // how many events in a row did not come
}

// mostMisses is how many events in a row may not come before the stream is not relied on. The engine drops an event if its
// reader is slow. A proxy that buffers answers passes none on.
const mostMisses = 3

// await has the next exit of a container told, by a function that must not wait. If the stream ends first, its error is told.
// It returns false if there is no stream to rely on. It must be called before the start, and forget at the end.
func (e *exits) await(id string, told func(exit)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.awaited == nil || e.misses >= mostMisses {
		return false
	}
	e.awaited[id] = told
	return true
}

// missed records that the event of a container that has exited did not come.
func (e *exits) missed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.misses++; e.misses == mostMisses {
		e.log.Warn("the engine's stream of exits is open, and leaves exits out; each run has a wait of its own")
	}
}

// forget ends an await.
func (e *exits) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.awaited, id)
}

// tell tells the exit of a container, if it is awaited.
func (e *exits) tell(id string, s dockerapi.ExitStatus) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if told := e.awaited[id]; told != nil {
		told(exit{code: s.Code})
		delete(e.awaited, id) // only one is awaited
		e.misses = 0
	}
}

// follow reads the stream to its end.
func (e *exits) follow(ctx context.Context) error {
	join, err := e.docker.WatchExits(ctx, LabelQueue+"="+e.queue)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.awaited, e.misses = make(map[string]func(exit)), 0
	e.mu.Unlock()
	err = join(e.tell)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, told := range e.awaited {
		told(exit{err: err})
	}
	e.awaited = nil
	return err
}

// watch keeps the stream open while the engine answers. If the engine has none, as Podman and some proxies, or breaks it off
// again and again, watch asks again after the engine was lost. It returns when ctx ends.
func (e *exits) watch(ctx context.Context) {
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
		case attempt < maxRetries && (unreachable || errors.Is(err, dockerapi.ErrTemporary)):
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
