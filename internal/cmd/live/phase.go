package live

import (
	"slices"
	"time"
)

// A Phase is how far a job has come. See the package comment.
type Phase uint8

const (
	Waiting   Phase = iota // it has its place in the order, and waits for its turn; the engine was told nothing
	Cancelled              // a message asked for its end before it was due: nothing is done
	Due                    // its turn has come; the engine was told nothing yet
	Begun                  // the engine may have been told something
	Created                // it has a container
	Started                // its container has run
	Exited                 // its container has exited; output may still come
	Over                   // its container has exited, and no message is restarting it
	Ended                  // its result is known
	Stored                 // the broker has stored the result, the answer, and the dead letter or the next attempt
	Acked                  // its ack is written, and may still be lost
	Settled                // the ack cannot be lost any more; the container may be removed
	Recalled               // its message is being requeued, because it cannot begin here now
	Forwarded              // it has no result here: its message is forwarded to the host that has the job
	Requeued               // its message is requeued
	Gone                   // its goroutine is done with it
)

// mayBecome reports whether the phase q may follow. A job only moves forward, and may skip phases that do not apply to it: a
// command without a container has none of created, started and exited.
func (p Phase) mayBecome(q Phase) bool {
	switch q {
	case Waiting:
		return p == Due // the engine is away, and was told nothing
	case Cancelled, Due, Recalled:
		return p == Waiting
	case Begun:
		return p == Due
	case Created:
		return p == Begun
	case Started:
		return p == Created || p == Exited // it was restarted
	case Exited:
		return p == Created || p == Started
	case Over:
		return p == Created || p == Started || p == Exited
	case Ended:
		return p < q
	case Stored, Acked, Settled:
		return p >= Ended && p < q
	case Forwarded:
		return p == Due || p == Begun || p == Waiting // see ForwardsTo
	case Requeued:
		return p == Recalled
	}
	return p != Waiting && p != Recalled && p != Gone // not before its message is settled or requeued
}

func (p Phase) String() string {
	return [...]string{"waiting", "cancelled", "due", "begun", "created", "started", "exited", "exited", "ended", "stored", "acked", "settled",
		"recalled", "forwarded", "requeued", "gone"}[p]
}

// waits reports whether the engine was not asked for anything yet.
func (p Phase) waits() bool { return p == Waiting || p == Due }

// runs reports whether the engine may have been asked for something, and the end is not known.
func (p Phase) runs() bool { return p >= Begun && p <= Over }

// A phaseWait is closed when a task has reached the phase or a later one.
type phaseWait struct {
	phase Phase
	come  chan struct{}
}

// To moves a task to a phase, and reports whether that phase may follow.
func (t *Task) To(p Phase) bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.in.move(t, p)
}

// move is to with g.mu held. Nothing else changes a phase.
func (g *Registry) move(t *Task, p Phase) bool {
	if !t.phase.mayBecome(p) {
		return false
	}
	t.phase = p
	if p == Begun {
		t.began = time.Now()
	}
	if p == Waiting {
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

// Starts moves a task to Started: its container runs since then.
func (t *Task) Starts(since time.Time) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.move(t, Started)
	t.began = since
}

// Reached returns a channel that is closed when a task has reached a phase or a later one.
func (t *Task) Reached(p Phase) <-chan struct{} {
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

// At returns the phase of a task.
func (t *Task) At() Phase {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.phase
}
