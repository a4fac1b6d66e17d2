package cmd

import (
	"slices"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// registry knows the jobs of this process: those at work, and those settled lately.
type registry struct {
	mu      sync.Mutex
	live    map[*task]struct{}
	byKey   map[string]*task    // live jobs with a message_id
	done    memory[struct{}]    // jobs with a message_id that were settled lately, by copyKey
	settled memory[struct{}]    // the same jobs, by queue and id
	results memory[doneJob]     // results of the latest of them, by copyKey
	retired map[string]struct{} // ids of containers that belong to no message any more
	cancels memory[int]         // by id, jobs that a message asked to end, whose messages have not come: the first attempt that is not to run
	latest  map[string]*order   // for each container's name, the last command on it that may not have taken effect
}

func newRegistry() registry {
	return registry{
		live:    make(map[*task]struct{}),
		byKey:   make(map[string]*task),
		done:    newMemory[struct{}](mostSettled, mostSettled),
		settled: newMemory[struct{}](mostSettled, mostSettled),
		results: newMemory[doneJob](mostSettled, resultBytes),
		retired: make(map[string]struct{}),
		cancels: newMemory[int](mostCancels, mostCancels),
		latest:  make(map[string]*order),
	}
}

const (
	// mostSettled is how many settled jobs are remembered, and resultBytes how much room their results may take: those of
	// earlier ones are forgotten before they are.
	mostSettled = 50_000
	resultBytes = 8 << 20
	// mostCancels is how many jobs may be cancelled before their messages have come.
	mostCancels = 10_000
)

// A doneJob is what is remembered of a job that was settled.
type doneJob struct {
	result *event.Result
	told   map[string]bool // who has it, by Job.ReplyTo
}

// smallTail is how much output of a settled job is remembered with its result, where somebody asked for that.
const smallTail = 4 << 10

// known is what a registry can say of a delivery.
type known int

const (
	unknown  known = iota
	joined         // the delivery of a job at work here, which will settle it
	finished       // the delivery of a job that was settled here lately
	returned       // a dead letter sent again, whose job is still being settled here
)

// recognise looks a delivery up. A delivery with a message_id is known by its key. One without is
// known by its digest, only if it is marked as redelivered, and only as that of a job whose own
// delivery is lost: equal messages without an id are different jobs. The task is that job's, where it is
// at work, and id its id.
func (g *registry) recognise(i identity, j Job) (k known, t *task, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i.stable {
		if t := g.byKey[i.key()]; t != nil {
			if t.copy != i.copy || t.kept && !j.Redelivered && i.attempt == 1 {
				// A dead letter of the job that was sent again: an ack would lose it.
				return returned, t, t.id
			}
			t.join(j)
			return joined, t, t.id
		}
		if _, ok := g.done.get(i.copyKey()); ok {
			return finished, nil, i.id
		}
		return unknown, nil, i.id
	}
	if !j.Redelivered {
		return unknown, nil, i.id
	}
	var found *task
	for t := range g.live {
		// Of several one that is not answered yet: the answer of another may have been taken.
		if !t.stable && t.queue == i.queue && t.digest == i.digest && t.orphaned() && (found == nil || !t.answered) {
			found = t
		}
	}
	if found == nil {
		return unknown, nil, i.id
	}
	found.join(j)
	return joined, found, found.id
}

// add registers a task, and puts it behind the last command on the same container. One from the control
// queue is in nobody's way, and waits for none that has not begun.
func (g *registry) add(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.live[t] = struct{}{}
	// Here, so that whoever asks for the end of the job either finds it or has it refused. A dead letter that is sent again
	// is meant.
	if t.invalid == nil && t.copy == "" && !t.control && g.cancelled(t.identity) {
		t.invalid = errCancelled
	}
	if t.stable {
		g.byKey[t.key()] = t
	}
	t.order.name = t.name
	switch {
	case t.name == "":
	case !t.control:
		t.order.before.Store(g.latest[t.name])
		g.latest[t.name] = t.order
	default:
		var last *task
		for o := range g.live {
			if o.name == t.name && o.order.begun.Load() && !o.order.tookEffect() && (last == nil || o.seq > last.seq) {
				last = o
			}
		}
		if last != nil {
			t.order.before.Store(last.order)
		}
	}
	if b := t.order.before.Load(); b != nil {
		b.behind++
	}
}

// reserve takes a container that is to be removed out of the reach of jobs: those that come for its
// name wait until release, and none may claim it. It fails where a job that is here may want it.
func (g *registry) reserve(c dockerapi.Container) (release func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.latest[c.Name] != nil || g.other(c.ID, nil) {
		return nil, false
	}
	for t := range g.live {
		if t.queue == c.Labels[LabelQueue] && t.digest == c.Labels[LabelDigest] {
			return nil, false
		}
	}
	o := newOrder(false)
	o.name = c.Name
	g.latest[o.name] = o
	g.retired[c.ID] = struct{}{}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.ends(o)
		delete(g.retired, c.ID)
	}, true
}

// take returns the deliveries of t that have not been taken, to be answered in their order.
func (g *registry) take(t *task) []Job {
	g.mu.Lock()
	defer g.mu.Unlock()
	jobs := t.remaining
	t.remaining, t.taken = nil, slices.Clone(jobs)
	return jobs
}

// storing records that a copy of the message is about to be stored in the dead-letter queue.
func (g *registry) storing(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.kept = true
}

// answers records that the answer to the next of the deliveries that were taken is about to be written.
func (g *registry) answers(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.taken = t.taken[1:]
	t.answering, t.answered = true, true
}

// dropTaken records that the next of the deliveries that were taken is lost.
func (g *registry) dropTaken(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.taken = t.taken[1:]
}

// lost tells whether all deliveries of t are lost.
func (g *registry) lost(t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.orphaned()
}

// present returns a delivery of t that is not lost, as far as is known.
func (g *registry) present(t *task) (Job, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, j := range t.remaining {
		if !j.lost() {
			return j, true
		}
	}
	return Job{}, false
}

// quietAfter returns how long the queue must have been consumed, and be empty, before the message of t is known not to
// come again. It is not ok while a connection that brought it may be alive: what that holds is in nobody's count.
func (g *registry) quietAfter(t *task) (d time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d = releasedFor
	for _, j := range t.given {
		if !j.lost() {
			return 0, false
		}
		if j.Released == nil || !j.Released() {
			d = quietFor
		}
	}
	return d, true
}

// given returns the deliveries of t, the last for each who wants its result, and since when they could have
// come again; missing: there is no queue to come from. It is zero where one is not lost, or could not have come again.
func (g *registry) given(t *task) (jobs []Job, since time.Time, missing bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	jobs = slices.Clone(t.given)
	for _, j := range jobs {
		if !j.lost() || j.Awaited == nil {
			return jobs, time.Time{}, false
		}
		at, none := j.Awaited()
		if at.IsZero() {
			return jobs, time.Time{}, false
		}
		if missing = none; at.After(since) {
			since = at
		}
	}
	return jobs, since, missing
}

// unanswered records that all deliveries that were taken are lost.
func (g *registry) unanswered(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.answering = false
}

// remember records that a job is settled, once: it answers for deliveries to come. A dead letter is not
// remembered: one that is sent again is to run, from the first attempt. Only what comes twice of a later
// attempt, whose copy in the dead-letter queue is ours and a first attempt, is.
func (g *registry) remember(t *task, v Verdict, r event.Result) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !t.stable || t.remembered {
		return
	}
	t.remembered = true
	if v == DeadLetter {
		i := t.identity
		for i.attempt = 1; i.attempt < t.attempt; i.attempt++ {
			g.done.drop(i.copyKey())
		}
		if t.attempt == 1 {
			return
		}
	}
	if n := len(r.Stdout) + len(r.Stderr); n > smallTail || n > 0 && len(t.told) == 0 {
		r.Stdout, r.Stderr, r.Incomplete = "", "", true
	}
	d := doneJob{&r, t.told}
	g.done.put(t.copyKey(), struct{}{}, 1)
	g.results.put(t.copyKey(), d, d.weight())
	g.settled.put(keyOf(t.queue+"\x00"+t.id), struct{}{}, 1)
}

// weight is about how many bytes a settled job takes.
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

// untold returns the result of a job that was settled, where a delivery asks for it from elsewhere.
func (g *registry) untold(i identity, j Job) *event.Result {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, ok := g.results.get(i.copyKey())
	if !ok || j.Reply == nil || s.told[j.ReplyTo] {
		return nil
	}
	return s.result
}

// expect forgets the next attempt of a job, from an earlier time that it was sent: it is to come and run.
func (g *registry) expect(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := t.identity
	i.attempt++
	g.done.drop(i.copyKey())
}

// remove forgets a task. It returns false, and keeps it, where deliveries of it have come that
// were not taken: they must be settled first.
func (g *registry) remove(t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(t.remaining) > 0 {
		return false
	}
	delete(g.live, t)
	if t.stable && g.byKey[t.key()] == t { // else another has taken over
		delete(g.byKey, t.key())
	}
	return true
}

// waits tells whether deliveries of t have come that are to be answered.
func (g *registry) waits(t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(t.remaining) > 0
}

// runs returns the live runs that have the container id, and execs in it: its end is theirs.
func (g *registry) runs(id string) (runs []*task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for t := range g.live {
		own := t.within.Load()
		if t.traits.Runs {
			own = t.container.Load()
		}
		if own != nil && *own == id {
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

func (g *registry) other(id string, t *task) bool {
	if _, ok := g.retired[id]; ok {
		return true
	}
	for o := range g.live {
		if own := o.container.Load(); o != t && own != nil && *own == id {
			return true
		}
	}
	return false
}

// held tells whether another live task has the container id.
func (g *registry) held(id string, t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, retired := g.retired[id]
	return !retired && g.other(id, t)
}

// lingers tells whether the container id is that of a settled job.
func (g *registry) lingers(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for t := range g.live {
		if own := t.container.Load(); own != nil && *own == id && t.lingering.Load() {
			return true
		}
	}
	return false
}

// leaves tells whether the container id is one that a run which has its result will remove.
func (g *registry) leaves(id string) bool {
	return slices.ContainsFunc(g.runs(id), func(t *task) bool { return t.leaves.Load() })
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
		t.id = id
		t.log = t.pool.Log.With("job", id)
	}
	if t.name == c.Name {
		return
	}
	g.forget(t.order)
	t.name, t.order.name = c.Name, c.Name
	if g.latest[t.name] == nil {
		g.latest[t.name] = t.order
	}
}
