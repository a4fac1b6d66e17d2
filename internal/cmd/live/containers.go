package live

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
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

	EndAsked atomic.Int32 // how many messages asked for the container's end, less those that the engine refused
}

// Runs returns the live runs of the container id, and the execs in it: its end ends them.
func (g *Registry) Runs(id string) (runs []*Task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byContainer[id] {
		if t.within == id && t.Traits.Lasts || t.Traits.Runs && t.container == id {
			runs = append(runs, t)
		}
	}
	return runs
}

// TakeContainer gives t the container id, unless another live job has it, or it is retired.
func (t *Task) TakeContainer(id string) bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.in.other(id, t) {
		return false
	}
	t.in.byContainer.move(t.container, id, t)
	t.container = id
	return true
}

// SetContainer gives t the container id, whoever else has it; "": t has none.
func (t *Task) SetContainer(id string) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.byContainer.move(t.container, id, t)
	t.container = id
}

// Enters records that an exec is in the container id.
func (t *Task) Enters(id string) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.enter(t, id)
}

func (g *Registry) enter(t *Task, id string) {
	g.byContainer.move(t.within, id, t)
	t.within = id
}

// ContainerID returns the id of the container of t.
func (t *Task) ContainerID() string {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.container
}

func (g *Registry) other(id string, t *Task) bool {
	if _, ok := g.retired[id]; ok {
		return true
	}
	return slices.ContainsFunc(g.byContainer[id], func(o *Task) bool { return o != t && o.container == id })
}

// Held reports whether another live task has the container id, and it is not retired.
func (g *Registry) Held(id string, t *Task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, retired := g.retired[id]
	return !retired && g.other(id, t)
}

// Asks remembers that a message asked for the end of the container id. A run that adopts the container later is to know.
func (g *Registry) Asks(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked.Put(recent.KeyOf(id), struct{}{}, 1)
}

// AsksNot forgets that.
func (g *Registry) AsksNot(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked.Drop(recent.KeyOf(id))
}

// WasAsked reports whether a message asked for the end of the container id lately.
func (g *Registry) WasAsked(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.asked.Get(recent.KeyOf(id))
	return ok
}

// Lingers records that t is settled, and that its container is removed soon.
func (t *Task) Lingers() {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.lingering = true
}

// IsLingering reports whether the container id is that of a settled job, and is removed soon.
func (g *Registry) IsLingering(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.byContainer[id], func(t *Task) bool { return t.container == id && t.lingering })
}

// Leaves reports whether the container id is removed by a run that is over, or has its result.
func (g *Registry) Leaves(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.removing(id)
}

func (g *Registry) removing(id string) bool {
	return slices.ContainsFunc(g.byContainer[id], func(t *Task) bool {
		run, ok := t.Cmd.(*message.Run)
		return t.container == id && (t.phase >= Ended && t.Cleanup != nil || t.phase == Over && ok && run.Remove)
	})
}

// Retire keeps all jobs from claiming the container id: its message is settled.
func (g *Registry) Retire(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retired[id] = struct{}{}
}

// Adopt gives t the id and the name of the container that it has claimed. Without a message_id only the container
// has the job's id.
func (t *Task) Adopt(c dockerapi.Container) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if id := c.Labels[identity.LabelJob]; !t.Stable && id != "" {
		if t.Traits.Lasts {
			t.in.byJob.move(t.ID, id, t)
		}
		t.ID = id
		t.Log = t.in.log.With("job", id)
	}
	if t.Name == c.Name {
		return
	}
	t.in.forget(t.Order)
	t.in.rename(t, c.Name)
	t.Order.name = c.Name
	if t.in.latest[t.Name] == nil {
		t.in.latest[t.Name] = t.Order
	}
}

// SharesName records that a task's command is for the container of a job.
func (t *Task) SharesName(job *Task) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.rename(t, job.Name)
}

// SetName records the name of the container that a task's command is for.
func (t *Task) SetName(name string) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.rename(t, name)
}

// rename changes the container's name that a task is found by. g.mu is held.
func (g *Registry) rename(t *Task, name string) {
	g.byName.move(t.Name, name, t)
	t.Name = name
}

// Removes records that a message has removed the container id.
func (g *Registry) Removes(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byContainer[id] {
		t.removed = t.removed || t.container == id
	}
}

// LeavesContainer reports whether the task's container outlives the task.
func (t *Task) LeavesContainer() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.Traits.Makes && t.container != "" && t.Cleanup == nil && !t.removed
}

// ContainerByJob returns the id of the container of a live job, or of that which its exec is in; "": there is none.
func (g *Registry) ContainerByJob(job string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byJob[job] {
		if id := cmp.Or(t.container, t.within); id != "" {
			return id
		}
	}
	return ""
}

// Lingering is how long the container of a settled job outlives its ack. A broker that is killed may forget an ack that is
// not on disk yet. A busy classic queue writes late.
const Lingering = 3 * time.Second

// RestartsContainer records that t is to restart the container id, unless a run will remove it. The run of the container goes on: see RunIsOver.
func (t *Task) RestartsContainer(id string) bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.in.removing(id) {
		return false
	}
	for _, run := range t.in.byContainer[id] {
		run.restarts++
	}
	t.in.enter(t, id)
	return true
}

// Restarting returns a live message's restart of the container id that is not over, or nil.
func (g *Registry) Restarting(id string) *Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.restartOf(id)
}

func (g *Registry) restartOf(id string) *Task {
	for _, t := range g.byContainer[id] {
		if t.within == id && !t.Traits.Lasts && t.phase < Ended {
			return t
		}
	}
	return nil
}

// RunIsOver reports whether a run is over whose container has exited, after the number of restarts seen. After that no message restarts
// the container if the run will remove it. by is the restart that is under way, if any.
func (t *Task) RunIsOver(seen int) (by *Task, over bool) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if by = t.in.restartOf(t.container); by != nil || t.restarts != seen {
		return by, false
	}
	t.in.move(t, Over)
	return nil, true
}

// Restarted returns how many messages have restarted the container of t.
func (t *Task) Restarted() int {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.containerOf.restarts
}
