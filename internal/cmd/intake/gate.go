package intake

import (
	"context"
	"sync"
)

// A Gate is a switch whose changes can be waited for. The job engine opens its Gate while the Docker Engine answers, and a
// source takes nothing from its queue while that is closed. The zero Gate is closed.
type Gate struct {
	mu      sync.Mutex
	open    bool
	changed chan struct{}
}

// State returns whether the gate is open, and a channel that is closed at its next change.
func (g *Gate) State() (open bool, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.changed == nil {
		g.changed = make(chan struct{})
	}
	return g.open, g.changed
}

// Wait returns nil once the gate is open, or the error of ctx.
func (g *Gate) Wait(ctx context.Context) error {
	for {
		open, changed := g.State()
		if open {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Set opens or closes the gate, and reports whether that changed it.
func (g *Gate) Set(open bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open == open {
		return false
	}
	g.open = open
	if g.changed != nil {
		close(g.changed)
	}
	g.changed = make(chan struct{})
	return true
}
