package cmd

import "sync"

// A Gate says whether the engine can be asked to do work. The pool closes and opens it; sources
// read it, and take nothing from their queue while it is closed. The zero Gate is closed.
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
