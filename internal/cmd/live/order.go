package live

import (
	"sync"
	"sync/atomic"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
)

// An Order is a command's place among the commands on one container.
type Order struct {
	Effective chan struct{} // closed when the command has taken effect, or never will
	GivenBack atomic.Bool   // set before effective closes: the message is requeued, and later commands must be too
	began     chan struct{} // closed when the engine may have been asked for something, or never will be
	Holds     atomic.Bool   // the command holds, and is at work: it keeps its message while something else goes on
	Stays     atomic.Bool   // the command was counted as holding: it does not go home any more
	begun     bool          // its turn has come; guarded by Registry.mu

	name   string                // the container's, "" if the command has none; guarded by Registry.mu
	stops  bool                  // the command only ends the container: another such command may run beside it
	Before atomic.Pointer[Order] // the previous command; nil: none, or it has taken effect

	once   sync.Once
	later  int             // how many commands come next after it, and have not taken effect; guarded by Registry.mu
	passed map[*Order]bool // the later commands that ended before this one took effect; guarded by Registry.mu
}

func newOrder(stops bool) *Order {
	return &Order{Effective: make(chan struct{}), began: make(chan struct{}), stops: stops}
}

// Turn returns what a later command waits for. If both only end the container, it waits only until this one has begun:
// a kill must not wait for a slow stop.
func (o *Order) Turn(later *Order) <-chan struct{} {
	if o.stops && later.stops {
		return o.began
	}
	return o.Effective
}

// Patient reports whether the command holds, or an earlier command that has not taken effect.
func (o *Order) Patient() bool {
	for ; o != nil && !o.TookEffect(); o = o.Before.Load() {
		if o.Holds.Load() {
			return true
		}
	}
	return false
}

// MayMove reports whether the command may still go home, see hosts.Hosts.GoesHome. A later one must not go before it.
func (o *Order) MayMove() bool { return !o.Stays.Load() && !o.GivenBack.Load() && !closed.Is(o.began) }

// TookEffect reports whether the command has taken effect, or never will.
func (o *Order) TookEffect() bool { return closed.Is(o.Effective) }

// Begins records that the engine may be asked for something.
func (g *Registry) Begins(o *Order) {
	g.mu.Lock()
	defer g.mu.Unlock()
	o.begun = true
	o.begins()
}

// begins closes began, and that of passed if this command only ends the container. Registry.mu is held.
func (o *Order) begins() {
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
func (g *Registry) effective(o *Order) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := o.Before.Load()
	if b == nil || b.TookEffect() {
		g.ends(o)
		return
	}
	if b.passed == nil {
		b.passed = make(map[*Order]bool)
	}
	b.passed[o] = true
	if b.stops && closed.Is(b.began) {
		o.begins()
	}
	// A command in passed with none after it is forgotten: the next command comes right after b.
	for ; b != nil && o.later == 0 && b.passed[o]; o, b = b, b.Before.Load() {
		delete(b.passed, o)
		latest := g.latest[o.name] == o // a command of the control queue is not
		g.ends(o)
		if latest && b.name == o.name { // else b has been renamed
			g.latest[o.name] = b
		}
	}
}

// ends closes effective, also of the commands in passed. g.mu is held.
func (g *Registry) ends(o *Order) {
	o.begins()
	close(o.Effective)
	if b := o.Before.Swap(nil); b != nil { // else each order would keep all earlier ones in memory
		b.later--
	}
	g.forget(o)
	for p := range o.passed {
		if o.GivenBack.Load() {
			p.GivenBack.Store(true)
		}
		g.ends(p)
	}
}

// forget makes the next command on the container wait for nothing, if o is the last one. g.mu is held.
func (g *Registry) forget(o *Order) {
	if g.latest[o.name] == o {
		delete(g.latest, o.name)
	}
}
