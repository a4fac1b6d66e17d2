package live

import (
	"log/slog"
	"slices"
	"sync"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
	"github.com/mutaphore/docker-dispatch/internal/cmd/slots"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A Registry knows the jobs of this process: the live ones, and those that were settled lately.
type Registry struct {
	log    *slog.Logger
	Slots  *slots.Slots // the places of runs and execs
	shares slots.Shares // of users

	mu      sync.Mutex
	live    map[*Task]struct{}
	waiting map[*Task]struct{} // the tasks in Waiting

	byKey       map[string]*Task // live jobs with a message_id
	byDigest    crowd            // live jobs, by the digest of the message's body
	byJob       index            // live runs and execs, by the job's id
	byName      index            // live jobs, by the container's name
	byContainer index            // live jobs, by the id of their container, or of the container that their exec is in

	done    recent.Map[struct{}]   // jobs with a message_id that were settled lately, by CopyKey
	settled recent.Map[SettledJob] // the jobs with a message_id that were settled lately, by queue and id
	results recent.Map[doneJob]    // results of the latest of these jobs, by CopyKey
	retired map[string]struct{}    // ids of containers that no job may claim
	cancels recent.Map[int]        // by job id, for messages that have not come: the first attempt that must not run
	asked   recent.Map[struct{}]   // by container id, the containers whose end a message asked for lately
	latest  map[string]*Order      // by container name, the last command that may not have taken effect
}

// NewRegistry returns a registry with so many places for runs and execs. Each task's log is derived from log.
func NewRegistry(log *slog.Logger, places int) *Registry {
	return &Registry{
		log:         log,
		Slots:       slots.New(places),
		live:        make(map[*Task]struct{}),
		waiting:     make(map[*Task]struct{}),
		byKey:       make(map[string]*Task),
		byDigest:    make(crowd),
		byJob:       make(index),
		byName:      make(index),
		byContainer: make(index),
		done:        recent.NewMap[struct{}](mostSettled, mostSettled),
		settled:     recent.NewMap[SettledJob](mostSettled, mostSettled),
		results:     recent.NewMap[doneJob](mostSettled, resultBytes),
		retired:     make(map[string]struct{}),
		cancels:     recent.NewMap[int](MostCancels, MostCancels),
		asked:       recent.NewMap[struct{}](MostCancels, MostCancels),
		latest:      make(map[string]*Order),
	}
}

const (
	// mostSettled bounds the settled jobs that are remembered, and resultBytes the bytes of their results. The oldest
	// results are forgotten first; their jobs are still known.
	mostSettled = 50_000
	resultBytes = 8 << 20
	// MostCancels is how many jobs may be cancelled before their messages have come.
	MostCancels = 10_000
)

// A doneJob is a settled job, as it is remembered.
type doneJob struct {
	result *event.Result
	told   map[string]bool // who was sent the result, by Job.ReplyTo
}

// A SettledJob is the last job of its id that was settled.
type SettledJob struct {
	Digest string
	Over   bool // it has no next attempt, and is no dead letter that may be sent again
	Notes  notes
}

// smallTail is how many bytes of output are remembered with a settled job's result, if a reply_to has the result.
const smallTail = 4 << 10

// Add registers a task, and orders it after the last command on the same container. A command of the control
// queue delays no command of the queue, and waits only for commands that have begun.
func (g *Registry) Add(t *Task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.in, g.live[t] = g, struct{}{}
	g.byDigest.add(t.Digest, t)
	g.byName.move("", t.Name, t)
	if t.Traits.Lasts {
		g.byJob.add(t.ID, t)
	}
	// Under g.mu: a command that asks for the job's end either finds the job or has it refused. A dead letter that was
	// sent again is not refused: its sender wants it to run.
	if t.Invalid == nil && t.Copy == "" && !t.Control && g.cancelled(t.Identity) {
		t.Invalid = ErrCancelled
	}
	if t.Invalid != nil {
		g.move(t, Ended)
	} else {
		g.waiting[t] = struct{}{}
	}
	if t.Stable {
		g.byKey[t.Key()] = t
	}
	t.Order.name = t.Name
	switch {
	case t.Name == "":
	case !t.Control:
		t.Order.Before.Store(g.latest[t.Name])
		g.latest[t.Name] = t.Order
	default:
		var last *Task
		for _, o := range g.byName[t.Name] {
			if o.Order.begun && !o.Order.TookEffect() && (last == nil || o.seq > last.seq) {
				last = o
			}
		}
		if last != nil {
			t.Order.Before.Store(last.Order)
		}
	}
	if b := t.Order.Before.Load(); b != nil {
		b.later++
	}
}

// Reserve keeps jobs from a container that is to be removed. Until release, which is told whether it is, commands on its name wait,
// and no job may claim it. It fails if a live job may want the container. No job may want one that is retired.
func (g *Registry) Reserve(c dockerapi.Container) (release func(removed bool), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.latest[c.Name] != nil || slices.ContainsFunc(g.byContainer[c.ID], func(t *Task) bool { return t.container == c.ID }) {
		return nil, false
	}
	for t := range g.byDigest[c.Labels[identity.LabelDigest]] {
		if t.Queue == c.Labels[identity.LabelQueue] {
			return nil, false
		}
	}
	o := newOrder(false)
	o.name = c.Name
	g.latest[o.name] = o
	_, retired := g.retired[c.ID]
	g.retired[c.ID] = struct{}{}
	return func(removed bool) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ends(o)
		if removed || !retired {
			delete(g.retired, c.ID)
		}
	}, true
}

// Storing records that a copy of the message is about to be stored in the dead-letter queue.
func (t *Task) Storing() {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.kept = true
}

// Remember records a job as settled, once: later deliveries of it are acked. A dead letter that is sent again must run,
// from the first attempt: so a first attempt with that verdict is not remembered, and the attempts before a later one
// are forgotten. The later attempt itself is remembered: its dead letter is a first attempt, only duplicates match it.
func (g *Registry) Remember(t *Task, v intake.Verdict, r *event.Result) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.move(t, Settled) || !t.Stable {
		return
	}
	// A dead letter may be sent again, and a stop by Job must still find the next attempt.
	over := v != intake.TryAgain && (v != intake.DeadLetter || t.Attempt > 1)
	g.settled.Put(recent.KeyOf(t.Queue+"\x00"+t.ID), SettledJob{t.Digest, over, t.deliveries.notes}, 1)
	if v == intake.DeadLetter {
		i := t.Identity
		for i.Attempt = 1; i.Attempt < t.Attempt; i.Attempt++ {
			g.done.Drop(i.CopyKey())
		}
		if t.Attempt == 1 {
			return
		}
	}
	kept := *r
	if n := len(r.Stdout) + len(r.Stderr); n > smallTail || n > 0 && len(t.Told) == 0 {
		kept.Stdout, kept.Stderr, kept.Incomplete = "", "", true
	}
	d, key := doneJob{&kept, t.Told}, t.CopyKey()
	g.done.Put(key, struct{}{}, 1)
	g.results.Put(key, d, d.weight())
}

// weight returns about how many bytes a settled job takes.
func (d doneJob) weight() int {
	r := d.result
	n := 1 << 10 // the result itself, and the entry
	for _, s := range []string{r.Job, r.Error, r.EngineError, r.ContainerID, r.ContainerName, r.Image, r.Stdout, r.Stderr} {
		n += len(s)
	}
	for _, w := range r.Warnings {
		n += len(w)
	}
	for to := range d.told {
		n += 64 + len(to)
	}
	return n
}

// Expect forgets that the next attempt of a job was settled, if it was sent before: it is sent now, and must run. But if it was
// settled after the end of an adopted container, an earlier process has sent it for the same end.
func (g *Registry) Expect(t *Task, r *event.Result) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := t.Identity
	i.Attempt++
	if at, ok := g.done.Since(i.CopyKey()); ok && r.Adopted && r.FinishedAt != nil && at.After(*r.FinishedAt) {
		return
	}
	g.done.Drop(i.CopyKey())
}

// Remove forgets a task. It returns false and keeps the task if deliveries were not taken: they must be settled first.
func (g *Registry) Remove(t *Task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(t.remaining) > 0 {
		return false
	}
	delete(g.live, t)
	delete(g.waiting, t)
	g.byDigest.drop(t.Digest, t)
	g.byJob.drop(t.ID, t)
	g.byName.drop(t.Name, t)
	g.byContainer.drop(t.container, t)
	g.byContainer.drop(t.within, t)
	if t.Stable && g.byKey[t.Key()] == t { // else a later task has taken over
		delete(g.byKey, t.Key())
	}
	return true
}

// ByID returns the live run or exec with that id: of a run, the last attempt.
func (g *Registry) ByID(id string) (found *Task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byJob[id] {
		if found == nil || t.Attempt > found.Attempt || t.Attempt == found.Attempt && t.seq > found.seq {
			found = t
		}
	}
	return found
}

// Knew reports whether a job with that id was settled here lately, for good.
func (g *Registry) Knew(queue, id string) bool {
	j, ok := g.LastOf(queue, id)
	return ok && j.Over
}

// LastOf returns the last job with that id that was settled here lately.
func (g *Registry) LastOf(queue, id string) (j SettledJob, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.settled.Get(recent.KeyOf(queue + "\x00" + id))
}

// A Size is how much a registry keeps. All of it is bounded by the live jobs, and the cancels by MostCancels.
type Size struct{ Tasks, Orders, Cancels, Retired int }

// Size returns how much the registry keeps.
func (g *Registry) Size() (s Size) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range g.latest {
		for ; o != nil; o = o.Before.Load() {
			s.Orders += 1 + len(o.passed)
		}
	}
	s.Cancels, _ = g.cancels.Size()
	s.Tasks, s.Retired = len(g.live), len(g.retired)
	return s
}
