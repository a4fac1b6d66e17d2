package cmd

import (
	"slices"
	"time"
)

// deliveries are what of a job's message has come, and how it was answered. The registry's mutex guards all of it.
type deliveries struct {
	given     []Job         // the last delivery for each ReplyTo
	remaining []Job         // those not yet answered
	taken     []Job         // those that are about to be answered
	answering bool          // an answer may have been written, and not been lost since
	answered  bool          // an answer may have been written
	arrived   chan struct{} // signals that one has joined
}

func newDeliveries(j Job) deliveries {
	return deliveries{given: []Job{j}, remaining: []Job{j}, arrived: make(chan struct{}, 1)}
}

// join adds a delivery.
func (d *deliveries) join(j Job) {
	d.remaining = append(d.remaining, j)
	// The last one is used where it is lost and does not come again.
	d.given = slices.DeleteFunc(d.given, func(o Job) bool { return o.ReplyTo == j.ReplyTo })
	d.given = append(d.given, j)
	select {
	case d.arrived <- struct{}{}:
	default:
	}
}

// orphaned tells whether all deliveries are lost.
func (d *deliveries) orphaned() bool {
	if d.answering {
		return false
	}
	alive := func(j Job) bool { return !j.lost() }
	return !slices.ContainsFunc(d.remaining, alive) && !slices.ContainsFunc(d.taken, alive)
}

// take returns the deliveries of t that have not been taken, to be answered in their order.
func (g *registry) take(t *task) []Job {
	g.mu.Lock()
	defer g.mu.Unlock()
	jobs := t.remaining
	t.remaining, t.taken = nil, slices.Clone(jobs)
	return jobs
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

// unanswered records that all deliveries that were taken are lost.
func (g *registry) unanswered(t *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t.answering = false
}

// waits tells whether deliveries of t have come that are to be answered.
func (g *registry) waits(t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(t.remaining) > 0
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
	for _, j := range t.deliveries.given {
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
	jobs = slices.Clone(t.deliveries.given)
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
