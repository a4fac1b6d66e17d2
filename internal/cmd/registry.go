package cmd

import (
	"sync"
	"time"
)

// recent is how long a settled job with a message_id is remembered, for a delivery of it that was
// under way.
const recent = time.Hour

// registry knows the jobs of this process: those at work, and those settled lately.
type registry struct {
	mu     sync.Mutex
	live   map[*task]struct{}
	byKey  map[string]*task     // live jobs with a message_id
	done   map[string]time.Time // settled jobs with a message_id, and when
	forget []string             // keys of done, oldest first
	latest map[string]*order    // for each container's name, the last command on it that may not have taken effect
}

func newRegistry() registry {
	return registry{
		live:   make(map[*task]struct{}),
		byKey:  make(map[string]*task),
		done:   make(map[string]time.Time),
		latest: make(map[string]*order),
	}
}

// known is what a registry can say of a delivery.
type known int

const (
	unknown  known = iota
	joined         // the delivery of a job at work here, which will settle it
	finished       // the delivery of a job that was settled here lately
)

// recognise looks a delivery up. A delivery with a message_id is known by its key. One without is
// known by its digest, only if it is marked as redelivered, and only as that of a job whose own
// delivery is lost: equal messages without an id are different jobs.
func (g *registry) recognise(i identity, j Job) known {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i.stable {
		if t := g.byKey[i.key()]; t != nil {
			t.join(j)
			return joined
		}
		if at, ok := g.done[i.key()]; ok && time.Since(at) < recent {
			return finished
		}
		return unknown
	}
	if !j.Redelivered {
		return unknown
	}
	for t := range g.live {
		if !t.stable && t.queue == i.queue && t.digest == i.digest && t.orphaned() {
			t.join(j)
			return joined
		}
	}
	return unknown
}

// add registers a task, and puts it behind the last command on the same container.
func (g *registry) add(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.live[t] = struct{}{}
	if t.stable {
		g.byKey[t.key()] = t
	}
	if t.name != "" {
		t.before = g.latest[t.name]
		g.latest[t.name] = t.order
	}
}

// effective records that a command has taken effect, or never will: the next one on the same
// container need not wait.
func (g *registry) effective(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.latest[t.name] == t.order {
		delete(g.latest, t.name)
	}
}

// take returns the deliveries of t that have not been taken, to be answered.
func (g *registry) take(t *task) []Job {
	g.mu.Lock()
	defer g.mu.Unlock()
	jobs := t.remaining
	t.remaining, t.answering = nil, true
	return jobs
}

// unanswered records that all deliveries that were taken are lost.
func (g *registry) unanswered(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.answering = false
}

// remove forgets a task. It returns false, and keeps it, where deliveries of it have come that
// were not taken: they must be settled first. One that is remembered answers for deliveries to come.
func (g *registry) remove(t *task, remember bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(t.remaining) > 0 {
		return false
	}
	delete(g.live, t)
	if !t.stable {
		return true
	}
	delete(g.byKey, t.key())
	if !remember {
		return true
	}
	now := time.Now()
	for len(g.forget) > 0 && now.Sub(g.done[g.forget[0]]) >= recent {
		delete(g.done, g.forget[0])
		g.forget = g.forget[1:]
	}
	if _, ok := g.done[t.key()]; !ok {
		g.forget = append(g.forget, t.key())
	}
	g.done[t.key()] = now
	return true
}

// runs returns the live runs that have the container ref (name, id or its beginning). A run that is
// still to create a container of that name is none of them.
func (g *registry) runs(ref string) (runs []*task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for t := range g.live {
		if _, ok := t.cmd.(*Run); ok && t.has(ref) {
			runs = append(runs, t)
		}
	}
	return runs
}

// claim makes the container id the one of t, unless another live job has it.
func (g *registry) claim(id string, t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.other(id, t) {
		return false
	}
	t.container.Store(&id)
	return true
}

// owned tells whether a live job other than t has the container id.
func (g *registry) owned(id string, t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.other(id, t)
}

func (g *registry) other(id string, t *task) bool {
	for o := range g.live {
		if own := o.container.Load(); o != t && own != nil && *own == id {
			return true
		}
	}
	return false
}

// rename gives t the name of a container that it has found.
func (g *registry) rename(t *task, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.latest[t.name] == t.order {
		delete(g.latest, t.name)
	}
	t.name = name
	if g.latest[name] == nil {
		g.latest[name] = t.order
	}
}
