package cmd

import (
	"sync"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// registry knows the jobs of this process: those at work, and those settled lately.
type registry struct {
	mu      sync.Mutex
	live    map[*task]struct{}
	waiting map[*task]struct{} // those in that phase

	byKey       map[string]*task // live jobs with a message_id
	byDigest    index            // of a message's body
	byJob       index            // live runs and execs, by the job's id
	byName      index            // of the container
	byContainer index            // live jobs, by the id of the container that is theirs or that an exec of theirs is in

	done    memory[struct{}]    // jobs with a message_id that were settled lately, by copyKey
	settled memory[struct{}]    // the same jobs, by queue and id
	results memory[doneJob]     // results of the latest of them, by copyKey
	retired map[string]struct{} // ids of containers that belong to no message any more
	cancels memory[int]         // by id, jobs that a message asked to end, whose messages have not come: the first attempt that is not to run
	latest  map[string]*order   // for each container's name, the last command on it that may not have taken effect
}

func newRegistry() registry {
	return registry{
		live:        make(map[*task]struct{}),
		waiting:     make(map[*task]struct{}),
		byKey:       make(map[string]*task),
		byDigest:    make(index),
		byJob:       make(index),
		byName:      make(index),
		byContainer: make(index),
		done:        newMemory[struct{}](mostSettled, mostSettled),
		settled:     newMemory[struct{}](mostSettled, mostSettled),
		results:     newMemory[doneJob](mostSettled, resultBytes),
		retired:     make(map[string]struct{}),
		cancels:     newMemory[int](mostCancels, mostCancels),
		latest:      make(map[string]*order),
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
	for _, t := range g.byDigest[i.digest] {
		// Of several one that is not answered yet: the answer of another may have been taken.
		if !t.stable && t.queue == i.queue && t.orphaned() && (found == nil || !t.answered) {
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
	g.byDigest.add(t.digest, t)
	g.byName.move("", t.name, t)
	if t.traits.Lasts {
		g.byJob.add(t.id, t)
	}
	// Here, so that whoever asks for the end of the job either finds it or has it refused. A dead letter that is sent again
	// is meant.
	if t.invalid == nil && t.copy == "" && !t.control && g.cancelled(t.identity) {
		t.invalid = errCancelled
	}
	if t.invalid != nil {
		g.move(t, phaseEnded)
	} else {
		g.waiting[t] = struct{}{}
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
		for _, o := range g.byName[t.name] {
			if o.order.begun && !o.order.tookEffect() && (last == nil || o.seq > last.seq) {
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
	for _, t := range g.byDigest[c.Labels[LabelDigest]] {
		if t.queue == c.Labels[LabelQueue] {
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

// storing records that a copy of the message is about to be stored in the dead-letter queue.
func (g *registry) storing(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.kept = true
}

// remember makes a job a settled one, once: it answers for deliveries to come. A dead letter is not
// remembered: one that is sent again is to run, from the first attempt. Only what comes twice of a later
// attempt, whose copy in the dead-letter queue is ours and a first attempt, is.
func (g *registry) remember(t *task, v Verdict, r event.Result) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.move(t, phaseSettled) || !t.stable {
		return
	}
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
	delete(g.waiting, t)
	g.byDigest.drop(t.digest, t)
	g.byJob.drop(t.id, t)
	g.byName.drop(t.name, t)
	g.byContainer.drop(t.container, t)
	g.byContainer.drop(t.within, t)
	if t.stable && g.byKey[t.key()] == t { // else another has taken over
		delete(g.byKey, t.key())
	}
	return true
}
