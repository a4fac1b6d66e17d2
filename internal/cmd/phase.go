package cmd

import (
	"slices"
	"time"
)

// A phase is how far a job has come. See the package comment.
type phase uint8

const (
	phaseWaiting   phase = iota // it has its place in the order, and waits for its turn; the engine was told nothing
	phaseCancelled              // a message asked for its end before it was due: nothing is done
	phaseDue                    // its turn has come; the engine was told nothing yet
	phaseBegun                  // the engine may have been told something
	phaseCreated                // it has a container
	phaseStarted                // its container has run
	phaseExited                 // its container has exited; output may still come
	phaseOver                   // its container has exited, and no message is restarting it
	phaseEnded                  // its result is known
	phaseStored                 // the broker has stored the result, the answer, and the dead letter or the next attempt
	phaseAcked                  // its ack is written, and may still be lost
	phaseSettled                // the ack cannot be lost any more; the container may be removed
	phaseRecalled               // its message is being requeued, because it cannot begin here now
	phaseForwarded              // it has no result here: its message is forwarded to the host that has the job, see handOver
	phaseRequeued               // its message is requeued
	phaseGone                   // its goroutine is done with it
)

// mayBecome reports whether the phase q may follow. A job only moves forward, and may skip phases that do not apply to it: a
// command without a container has none of created, started and exited.
func (p phase) mayBecome(q phase) bool {
	switch q {
	case phaseWaiting:
		return p == phaseDue // the engine is away, and was told nothing
	case phaseCancelled, phaseDue, phaseRecalled:
		return p == phaseWaiting
	case phaseBegun:
		return p == phaseDue
	case phaseCreated:
		return p == phaseBegun
	case phaseStarted:
		return p == phaseCreated || p == phaseExited // it was restarted
	case phaseExited:
		return p == phaseCreated || p == phaseStarted
	case phaseOver:
		return p == phaseCreated || p == phaseStarted || p == phaseExited
	case phaseEnded:
		return p < q
	case phaseStored, phaseAcked, phaseSettled:
		return p >= phaseEnded && p < q
	case phaseForwarded:
		return p == phaseDue || p == phaseBegun || p == phaseWaiting // see goesAhead
	case phaseRequeued:
		return p == phaseRecalled
	}
	return p != phaseWaiting && p != phaseRecalled && p != phaseGone // not before its message is settled or requeued
}

func (p phase) String() string {
	return [...]string{"waiting", "cancelled", "due", "begun", "created", "started", "exited", "exited", "ended", "stored", "acked", "settled",
		"recalled", "forwarded", "requeued", "gone"}[p]
}

// waits reports whether the engine was not asked for anything yet.
func (p phase) waits() bool { return p == phaseWaiting || p == phaseDue }

// runs reports whether the engine may have been asked for something, and the end is not known.
func (p phase) runs() bool { return p >= phaseBegun && p <= phaseOver }

// A phaseWait is closed when a task has reached the phase or a later one.
type phaseWait struct {
	phase phase
	come  chan struct{}
}

// to moves a task to a phase, and reports whether that phase may follow.
func (t *task) to(p phase) bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.in.move(t, p)
}

// move is to with g.mu held. Nothing else changes a phase.
func (g *registry) move(t *task, p phase) bool {
	if !t.phase.mayBecome(p) {
		return false
	}
	t.phase = p
	if p == phaseBegun {
		t.began = time.Now()
	}
	if p == phaseWaiting {
		g.waiting[t] = struct{}{}
	} else {
		delete(g.waiting, t)
	}
	t.awaited = slices.DeleteFunc(t.awaited, func(w phaseWait) bool {
		if w.phase <= p {
			close(w.come)
		}
		return w.phase <= p
	})
	return true
}

// starts moves a task to phaseStarted: its container runs since then.
func (t *task) starts(since time.Time) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.move(t, phaseStarted)
	t.began = since
}

// reached returns a channel that is closed when a task has reached a phase or a later one.
func (t *task) reached(p phase) <-chan struct{} {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	for _, w := range t.awaited {
		if w.phase == p {
			return w.come
		}
	}
	come := make(chan struct{})
	if t.phase >= p {
		close(come)
	} else {
		t.awaited = append(t.awaited, phaseWait{p, come})
	}
	return come
}

// at returns the phase of a task.
func (t *task) at() phase {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.phase
}
