package cmd

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A containerOf is the container of a task, or the container that its exec is in. Only the task's goroutine writes the
// ids, with the registry's mutex held.
type containerOf struct {
	container string // the id of the job's container; "": not known, or none
	within    string // the id of the container that the exec is in, or that is being restarted
	removed   bool   // a message has removed the container; guarded by the registry
	restarts  int    // how many messages have restarted the container; guarded by the registry
	lingering bool   // the job is settled, and the container is removed soon; guarded by the registry

	endAsked atomic.Int32 // how many messages asked for the container's end, less those that the engine refused
}

// runs returns the live runs of the container id, and the execs in it: its end ends them.
func (g *registry) runs(id string) (runs []*task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byContainer[id] {
		if t.within == id && t.traits.Lasts || t.traits.Runs && t.container == id {
			runs = append(runs, t)
		}
	}
	return runs
}

// takeContainer gives t the container id, unless another live job has it, or it is retired.
func (t *task) takeContainer(id string) bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.in.other(id, t) {
		return false
	}
	t.in.byContainer.move(t.container, id, t)
	t.container = id
	return true
}

// setContainer gives t the container id, whoever else has it; "": t has none.
func (t *task) setContainer(id string) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.byContainer.move(t.container, id, t)
	t.container = id
}

// enters records that an exec is in the container id.
func (t *task) enters(id string) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.enter(t, id)
}

func (g *registry) enter(t *task, id string) {
	g.byContainer.move(t.within, id, t)
	t.within = id
}

// containerID returns the id of the container of t.
func (t *task) containerID() string {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.container
}

func (g *registry) other(id string, t *task) bool {
	if _, ok := g.retired[id]; ok {
		return true
	}
	return slices.ContainsFunc(g.byContainer[id], func(o *task) bool { return o != t && o.container == id })
}

// held reports whether another live task has the container id, and it is not retired.
func (g *registry) held(id string, t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, retired := g.retired[id]
	return !retired && g.other(id, t)
}

// lingers records that t is settled, and that its container is removed soon.
func (t *task) lingers() {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.lingering = true
}

// isLingering reports whether the container id is that of a settled job, and is removed soon.
func (g *registry) isLingering(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.byContainer[id], func(t *task) bool { return t.container == id && t.lingering })
}

// leaves reports whether the container id is removed by a run that is over, or has its result.
func (g *registry) leaves(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.removing(id)
}

func (g *registry) removing(id string) bool {
	return slices.ContainsFunc(g.byContainer[id], func(t *task) bool {
		run, ok := t.cmd.(*message.Run)
		return t.container == id && (t.phase >= phaseEnded && t.cleanup != nil || t.phase == phaseOver && ok && run.Remove)
	})
}

// retire keeps all jobs from claiming the container id: its message is settled.
func (g *registry) retire(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retired[id] = struct{}{}
}

// adopt gives t the id and the name of the container that it has claimed. Without a message_id only the container
// has the job's id.
func (t *task) adopt(c dockerapi.Container) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if id := c.Labels[identity.LabelJob]; !t.Stable && id != "" {
		if t.traits.Lasts {
			t.in.byJob.move(t.ID, id, t)
		}
		t.ID = id
		t.log = t.in.log.With("job", id)
	}
	if t.name == c.Name {
		return
	}
	t.in.forget(t.order)
	t.in.rename(t, c.Name)
	t.order.name = c.Name
	if t.in.latest[t.name] == nil {
		t.in.latest[t.name] = t.order
	}
}

// setName records the name of the container that a task's command is for.
func (t *task) setName(name string) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.rename(t, name)
}

// rename changes the container's name that a task is found by. g.mu is held.
func (g *registry) rename(t *task, name string) {
	g.byName.move(t.name, name, t)
	t.name = name
}

func (t *task) nameNow() string {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.name
}

// removes records that a message has removed the container id.
func (g *registry) removes(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byContainer[id] {
		t.removed = t.removed || t.container == id
	}
}

// leavesContainer reports whether the task's container outlives the task.
func (t *task) leavesContainer() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.traits.Makes && t.container != "" && t.cleanup == nil && !t.removed
}

// containerByJob returns the id of the container of a live job, or of that which its exec is in; "": there is none.
func (g *registry) containerByJob(job string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byJob[job] {
		if id := cmp.Or(t.container, t.within); id != "" {
			return id
		}
	}
	return ""
}
