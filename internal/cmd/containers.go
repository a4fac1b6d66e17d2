package cmd

import (
	"slices"
	"sync/atomic"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A containerOf is the container of a task, or the one that its exec is in. Only the task's goroutine writes the
// ids, with the registry's mutex.
type containerOf struct {
	container string // the id of the job's own; "": not known, or none
	within    string // the id of the one that an exec has got into
	lingering bool   // the job is settled, and the container goes soon; guarded by the registry

	endAsked atomic.Int32 // how many messages asked for the container's end, and were not refused
	stopped  atomic.Bool  // a message's stop of it succeeded
}

// runs returns the live runs that have the container id, and execs in it: its end is theirs.
func (g *registry) runs(id string) (runs []*task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byContainer[id] {
		if t.within == id || t.traits.Runs && t.container == id {
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
	g.byContainer.move(t.container, id, t)
	t.container = id
	return true
}

// has makes the container id the one of t, whoever else has it; "": it has none.
func (g *registry) has(t *task, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.byContainer.move(t.container, id, t)
	t.container = id
}

// enters records that an exec is in the container id.
func (g *registry) enters(t *task, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.byContainer.move(t.within, id, t)
	t.within = id
}

// containerOf returns the id of the container of t.
func (g *registry) containerOf(t *task) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.container
}

func (g *registry) other(id string, t *task) bool {
	if _, ok := g.retired[id]; ok {
		return true
	}
	return slices.ContainsFunc(g.byContainer[id], func(o *task) bool { return o != t && o.container == id })
}

// held tells whether another live task has the container id.
func (g *registry) held(id string, t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, retired := g.retired[id]
	return !retired && g.other(id, t)
}

// lingers records that t is settled, and that its container goes soon.
func (g *registry) lingers(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.lingering = true
}

// isLingering tells whether the container id is that of a settled job, and goes soon.
func (g *registry) isLingering(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.byContainer[id], func(t *task) bool { return t.container == id && t.lingering })
}

// leaves tells whether the container id is one that a run which has its result will remove.
func (g *registry) leaves(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.byContainer[id], func(t *task) bool {
		return t.container == id && t.phase >= phaseEnded && t.cleanup != nil
	})
}

// retire makes the container id one that no job may claim: its message is settled.
func (g *registry) retire(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retired[id] = struct{}{}
}

// adopt makes t the job that a container which it has claimed was made for. Without a message_id only the
// container knows that job's id.
func (g *registry) adopt(t *task, c dockerapi.Container) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id := c.Labels[LabelJob]; !t.stable && id != "" {
		if t.traits.Lasts {
			g.byJob.move(t.id, id, t)
		}
		t.id = id
		t.log = t.pool.Log.With("job", id)
	}
	if t.name == c.Name {
		return
	}
	g.forget(t.order)
	g.rename(t, c.Name)
	t.order.name = c.Name
	if g.latest[t.name] == nil {
		g.latest[t.name] = t.order
	}
}

// name records the name of the container that a task turns out to be for.
func (g *registry) name(t *task, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rename(t, name)
}

// rename has a task found by another name. g.mu is held.
func (g *registry) rename(t *task, name string) {
	g.byName.move(t.name, name, t)
	t.name = name
}

func (g *registry) nameOf(t *task) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.name
}
