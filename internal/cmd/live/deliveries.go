package live

import (
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// deliveries are a task's deliveries, and how they were answered (acked, rejected, requeued). The registry guards them.
type deliveries struct {
	given     []intake.Job  // the last delivery for each ReplyTo
	remaining []intake.Job  // not taken yet, so not answered
	taken     []intake.Job  // about to be answered
	answering bool          // an answer may have been written, and is not known to be lost
	answered  bool          // an answer may have been written
	Arrived   chan struct{} // signals that a delivery has joined

	notes notes // of the last mostNotes deliveries that other hosts have forwarded, see hosts.Hosts.AwaitNote
}

// notes tell, each by its close, that the original of a forwarded message is acked.
type notes []<-chan struct{}

// Last returns the note to wait for, that of the last copy. noted: there is none to wait for, or one has come.
func (n notes) Last() (last <-chan struct{}, noted bool) {
	if len(n) == 0 {
		return nil, true
	}
	return n[len(n)-1], slices.ContainsFunc(n, closed.Is)
}

// mostNotes is more than hosts can be killed one after the other while they forward one message.
const mostNotes = 16

func newDeliveries(j intake.Job) deliveries {
	jobs := []intake.Job{j} // shared: join changes neither in place
	d := deliveries{given: jobs, remaining: jobs, Arrived: make(chan struct{}, 1)}
	d.note(j)
	return d
}

// note adds the note of a forwarded message.
func (d *deliveries) note(j intake.Job) {
	if j.Forwarded != nil {
		d.notes = append(d.notes[max(0, len(d.notes)+1-mostNotes):], j.Forwarded.Acked)
	}
}

// join adds a delivery. Lost ones need no answer any more.
func (d *deliveries) join(j intake.Job) {
	if slices.ContainsFunc(d.remaining, intake.Job.IsLost) {
		d.remaining = slices.DeleteFunc(slices.Clone(d.remaining), intake.Job.IsLost)
	}
	d.remaining = append(d.remaining, j)
	// The last one is used if the message is lost and is not redelivered.
	d.given = slices.DeleteFunc(slices.Clone(d.given), func(o intake.Job) bool { return o.ReplyTo == j.ReplyTo })
	d.given = append(d.given, j)
	d.note(j)
	select {
	case d.Arrived <- struct{}{}:
	default:
	}
}

// IsCopy reports whether another host has forwarded a delivery of t. Its redelivery comes to this host.
func (t *Task) IsCopy() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return len(t.notes) > 0
}

// orphaned reports whether all deliveries are lost, and no answer may have reached the broker.
func (d *deliveries) orphaned() bool {
	if d.answering {
		return false
	}
	alive := func(j intake.Job) bool { return !j.IsLost() }
	return !slices.ContainsFunc(d.remaining, alive) && !slices.ContainsFunc(d.taken, alive)
}

// Take returns the deliveries of t that have not been taken, to be answered in their order.
func (t *Task) Take() []intake.Job {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	jobs := t.remaining
	t.remaining, t.taken = nil, jobs
	return jobs
}

// Next goes on from the next taken delivery. answered: the answer to it is about to be written; else it gets none.
func (t *Task) Next(answered bool) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.taken = t.taken[1:]
	t.answering, t.answered = t.answering || answered, t.answered || answered
}

// Unanswered records that all taken deliveries are lost, and no answer to them took effect: from now on a redelivered message
// may join t.
func (t *Task) Unanswered() {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.answering = false
}

// HasMore reports whether t has deliveries that are not taken yet.
func (t *Task) HasMore() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return len(t.remaining) > 0
}

// Lost reports whether all deliveries of t are lost.
func (t *Task) Lost() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.orphaned()
}

// Present returns a delivery of t that is not taken, and not known to be lost.
func (t *Task) Present() (intake.Job, bool) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	for _, j := range t.remaining {
		if !j.IsLost() {
			return j, true
		}
	}
	return intake.Job{}, false
}

// QuietFor is how long a queue must have been consumed and empty before it certainly lacks a lost message. A broker that
// does not know a connection to be dead requeues its messages within twice the heartbeat.
// ReleasedFor is enough if the broker is known to have taken the messages back.
const (
	QuietFor    = 2 * time.Minute
	ReleasedFor = 3 * time.Second
)

// QuietAfter returns how long the queue must have been consumed and be empty. That proves that the message of t is not
// redelivered. ok is false while a connection that delivered it may be alive: its unacked messages are in no count.
func (t *Task) QuietAfter() (d time.Duration, ok bool) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	d = ReleasedFor
	for _, j := range t.deliveries.given {
		if !j.IsLost() {
			return 0, false
		}
		if j.Released == nil || !j.Released() {
			d = QuietFor
		}
	}
	return d, true
}

// Given returns the last delivery of t for each ReplyTo, and since when these could have been redelivered. since is
// zero if a delivery is not lost, or could not have been redelivered yet. missing: their queue does not exist.
func (t *Task) Given() (jobs []intake.Job, since time.Time, missing bool) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	jobs = slices.Clone(t.deliveries.given)
	for _, j := range jobs {
		if !j.IsLost() || j.Awaited == nil {
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

// LastNote returns the note that t waits for, as notes.last does.
func (t *Task) LastNote() (last <-chan struct{}, noted bool) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.deliveries.notes.Last()
}
