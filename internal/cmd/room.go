package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// roomEvery is how often the engine's disk is looked at.
const roomEvery = 10 * time.Second

// A room watches the disk that holds the engine's data: while it is short, nothing is taken that makes containers.
type room struct {
	gate *intake.Gate
	need int64 // bytes
	free func(ctx context.Context) (root string, bytes int64, err error)
	log  *slog.Logger

	mu   sync.Mutex
	last status.Disk // guarded by mu
	err  error       // of the last look; guarded by mu
}

// errNotLooked is the error of a room before its first look.
var errNotLooked = errors.New("the disk was not looked at yet")

// watch looks at the disk until ctx ends. It waits for the engine, which knows where its data is.
func (r *room) watch(ctx context.Context, e *engine.Engine) {
	for e.Wait(ctx) == nil {
		r.look(ctx)
		if delay.Sleep(ctx, roomEvery) != nil {
			return
		}
	}
}

// look opens or closes the gate. A disk that was short must have a tenth more than it needs: a disk near the mark would open and
// close the gate with each job. A disk that cannot be looked at counts as short: the operator has asked for it.
func (r *room) look(ctx context.Context) {
	root, free, err := r.free(ctx)
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	first := r.err == errNotLooked
	r.last, r.err = status.Disk{Root: root, Free: free, Need: r.need}, err
	r.mu.Unlock()
	need := r.need
	if open, _ := r.gate.State(); !open && !first {
		need += need / 10
	}
	enough := err == nil && free >= need
	if !r.gate.Set(enough) && !first {
		return
	}
	switch {
	case enough:
		r.log.Info("the engine's disk has room; messages are taken", "folder", root, "free", flagval.Size(free))
	case err != nil:
		r.log.Error("the engine's disk cannot be looked at, see --min-free; no messages are taken until it can", "error", err)
	default:
		r.log.Error("the engine's disk is short; no messages are taken until it has room, except those of the control queue", "folder", root, "free", flagval.Size(free), "min-free", flagval.Size(r.need))
	}
}

// condition returns whether the disk has room.
func (r *room) condition() status.Condition {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := status.Condition{Name: "disk", State: status.Met}
	if r.err != nil {
		c.State, c.Reason = status.Unmet, r.err.Error()
		return c
	}
	c.Reason = fmt.Sprintf("%s has %s free, of --min-free %s", r.last.Root, flagval.Size(r.last.Free), flagval.Size(r.last.Need))
	if open, _ := r.gate.State(); !open {
		c.State = status.Unmet
	}
	return c
}

func (r *room) disk() status.Disk {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}
