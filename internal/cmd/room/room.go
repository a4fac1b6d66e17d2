// Package room watches the disk that holds the engine's data.
package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// Every is how often the engine's disk is looked at.
const Every = 10 * time.Second

// A Room closes its gate while the disk is short: then nothing is taken that makes containers.
type Room struct {
	gate *intake.Gate
	need int64 // bytes
	free func(ctx context.Context) (root string, bytes int64, err error)
	log  *slog.Logger

	mu   sync.Mutex
	last status.Disk // guarded by mu
	err  error       // of the last look; guarded by mu
}

// New returns a Room that needs that many bytes. free returns the engine's folder, and its free bytes.
func New(gate *intake.Gate, need int64, free func(ctx context.Context) (root string, bytes int64, err error), log *slog.Logger) *Room {
	return &Room{gate: gate, need: need, free: free, log: log, err: errNotLooked}
}

// errNotLooked is the error of a room before its first look.
var errNotLooked = errors.New("the disk was not looked at yet")

// Watch looks at the disk until ctx ends. Before each look wait waits for the engine, which knows where its data is.
func (r *Room) Watch(ctx context.Context, wait func(ctx context.Context) error) {
	for wait(ctx) == nil {
		r.look(ctx)
		if delay.Sleep(ctx, Every) != nil {
			return
		}
	}
}

// look opens or closes the gate. A disk that was short must have a tenth more than it needs: a disk near the mark would open and
// close the gate with each job. A disk that cannot be looked at counts as short: the operator has asked for it.
func (r *Room) look(ctx context.Context) {
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

// Condition returns whether the disk has room.
func (r *Room) Condition() status.Condition {
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

// Disk returns what the last look has found.
func (r *Room) Disk() status.Disk {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}
