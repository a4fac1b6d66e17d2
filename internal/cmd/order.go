package cmd

import (
	"sync"
	"sync/atomic"
)

// An order is a command's place among those on one container.
type order struct {
	effective chan struct{} // closed when the command has taken effect, or never will
	givenBack atomic.Bool   // set before: the message went back, and what is behind it must go back too
	began     chan struct{} // closed when the engine is, or was, asked for something, or never will be
	holds     atomic.Bool   // it is one that holds, at work
	begun     bool          // its turn has come; guarded by registry.mu

	name   string                // the container's, "" where the command has none; guarded by registry.mu
	stops  bool                  // it only ends the container: another that does may go on beside it
	before atomic.Pointer[order] // the one that it is behind; nil: none, or it has taken effect

	once   sync.Once
	behind int             // how many are behind it that have not taken effect; guarded by registry.mu
	passed map[*order]bool // those of them that have ended; guarded by registry.mu
}

func newOrder(stops bool) *order {
	return &order{effective: make(chan struct{}), began: make(chan struct{}), stops: stops}
}

// turn is what a command has to wait for that is behind this one. One that only ends the container may come amid
// another that takes its time to.
func (o *order) turn(behind *order) <-chan struct{} {
	if o.stops && behind.stops {
		return o.began
	}
	return o.effective
}

// patient tells whether the command, or one before it that has not taken effect, is one that holds.
func (o *order) patient() bool {
	for ; o != nil && !o.tookEffect(); o = o.before.Load() {
		if o.holds.Load() {
			return true
		}
	}
	return false
}

func (o *order) tookEffect() bool { return isClosed(o.effective) }

// begins records that the engine may be asked for something.
func (g *registry) begins(o *order) {
	g.mu.Lock()
	defer g.mu.Unlock()
	o.begun = true
	o.begins()
}

// begins closes began, also of those that passed. registry.mu is held.
func (o *order) begins() {
	if isClosed(o.began) {
		return
	}
	close(o.began)
	for p := range o.passed {
		if o.stops {
			p.begins()
		}
	}
}

// effective records that a command has taken effect, or never will: the next one on the same
// container need not wait. Where one before it has not, the next one waits for that all the same.
func (g *registry) effective(o *order) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := o.before.Load()
	if b == nil || b.tookEffect() {
		g.ends(o)
		return
	}
	if b.passed == nil {
		b.passed = make(map[*order]bool)
	}
	b.passed[o] = true
	if b.stops && isClosed(b.began) {
		o.begins()
	}
	// Nobody need know any longer that it stood between, where none is behind it.
	for ; b != nil && o.behind == 0 && b.passed[o]; o, b = b, b.before.Load() {
		delete(b.passed, o)
		latest := g.latest[o.name] == o // one of the control queue is not
		g.ends(o)
		if latest && b.name == o.name { // else b has been renamed
			g.latest[o.name] = b
		}
	}
}

// ends closes effective, also of those that passed. g.mu is held.
func (g *registry) ends(o *order) {
	o.begins()
	close(o.effective)
	if b := o.before.Swap(nil); b != nil { // else each would keep all before it
		b.behind--
	}
	g.forget(o)
	for p := range o.passed {
		if o.givenBack.Load() {
			p.givenBack.Store(true)
		}
		g.ends(p)
	}
}

// forget has the next command on the container wait for nothing. g.mu is held.
func (g *registry) forget(o *order) {
	if g.latest[o.name] == o {
		delete(g.latest, o.name)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
