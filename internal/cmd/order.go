package cmd

import (
	"sync"
	"sync/atomic"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
)

// An order is a command's place among the commands on one container.
type order struct {
	effective chan struct{} // closed when the command has taken effect, or never will
	givenBack atomic.Bool   // set before effective closes: the message is requeued, and later commands must be too
	began     chan struct{} // closed when the engine may have been asked for something, or never will be
	holds     atomic.Bool   // the command holds, see task.holds, and is at work
	stays     atomic.Bool   // the command was counted as holding: it does not go home any more
	begun     bool          // its turn has come; guarded by registry.mu

	name   string                // the container's, "" if the command has none; guarded by registry.mu
	stops  bool                  // the command only ends the container: another such command may run beside it
	before atomic.Pointer[order] // the previous command; nil: none, or it has taken effect

	once   sync.Once
	behind int             // how many commands come next after it, and have not taken effect; guarded by registry.mu
	passed map[*order]bool // the commands of behind that ended before this one took effect; guarded by registry.mu
}

func newOrder(stops bool) *order {
	return &order{effective: make(chan struct{}), began: make(chan struct{}), stops: stops}
}

// turn returns what a later command waits for. If both only end the container, it waits only until this one has begun:
// a kill must not wait for a slow stop.
func (o *order) turn(behind *order) <-chan struct{} {
	if o.stops && behind.stops {
		return o.began
	}
	return o.effective
}

// patient reports whether the command holds, or an earlier command that has not taken effect.
func (o *order) patient() bool {
	for ; o != nil && !o.tookEffect(); o = o.before.Load() {
		if o.holds.Load() {
			return true
		}
	}
	return false
}

// mayMove reports whether the command may still go home, see task.goesHome. A later one must not go before it.
func (o *order) mayMove() bool { return !o.stays.Load() && !o.givenBack.Load() && !closed.Is(o.began) }

func (o *order) tookEffect() bool { return closed.Is(o.effective) }

// begins records that the engine may be asked for something.
func (g *registry) begins(o *order) {
	g.mu.Lock()
	defer g.mu.Unlock()
	o.begun = true
	o.begins()
}

// begins closes began, and that of passed if this command only ends the container. registry.mu is held.
func (o *order) begins() {
	if closed.Is(o.began) {
		return
	}
	close(o.began)
	for p := range o.passed {
		if o.stops {
			p.begins()
		}
	}
}

// effective records that a command has taken effect, or never will: the next command on the same container
// need not wait for it. If an earlier command has not taken effect, the next one still waits for that.
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
	if b.stops && closed.Is(b.began) {
		o.begins()
	}
	// A command in passed with none after it is forgotten: the next command comes right after b.
	for ; b != nil && o.behind == 0 && b.passed[o]; o, b = b, b.before.Load() {
		delete(b.passed, o)
		latest := g.latest[o.name] == o // a command of the control queue is not
		g.ends(o)
		if latest && b.name == o.name { // else b has been renamed
			g.latest[o.name] = b
		}
	}
}

// ends closes effective, also of the commands in passed. g.mu is held.
func (g *registry) ends(o *order) {
	o.begins()
	close(o.effective)
	if b := o.before.Swap(nil); b != nil { // else each order would keep all earlier ones in memory
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

// forget makes the next command on the container wait for nothing, if o is the last one. g.mu is held.
func (g *registry) forget(o *order) {
	if g.latest[o.name] == o {
		delete(g.latest, o.name)
	}
}
