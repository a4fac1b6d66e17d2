package cmd

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// holds tells whether a command keeps its message for as long as something else goes on, without a place of its own:
// a queue hands over so many messages at a time, and a stop must be among them. How long a stop may take is known
// when its container is.
func (t *task) holds() bool {
	return t.traits.Waits || t.traits.Lasts && t.control || t.traits.Patient != nil && t.traits.Patient(t.on.StopTimeout)
}

// soon is how long a command may be behind one that holds without being one itself.
const soon = time.Minute

// awaitBefore waits for the command before on the same container: as one that holds, if that does.
func (t *task) awaitBefore(before *order) error {
	tick := time.NewTicker(soon)
	defer tick.Stop()
	for {
		late, err := awaitEither(t, before.turn(t.order), tick.C)
		if !late {
			return err
		}
		if before.patient() {
			if err := t.hold(); err != nil {
				return err
			}
		}
	}
}

// holders counts the commands of a queue that hold.
type holders struct{ n atomic.Int64 }

// mayHold is how many of the messages that a queue hands over at a time may be such that hold where the command is one
// more: half, or what runs need not have, and so many that with those of the runs under way by now there is room for a
// stop. Of those that do not end a container one less: others keep no stop behind them from waiting.
func (p *Pool) mayHold(ends, control bool) (n, places int) {
	places, runs := p.Places, p.Concurrency
	room := places - 1 - (runs - p.slots.unused())
	if control {
		places, runs, room = p.ControlPlaces, 0, p.ControlPlaces-1
	}
	most := max(places/2, places-1-runs)
	if !ends {
		most = max(1, min(places/2, most-1))
	}
	return max(0, min(room, most)), places
}

// hold counts the task among those that hold, until unhold. It is an [dockerapi.ErrConflict] where there are too many.
func (t *task) hold() error {
	if t.held != nil {
		return nil
	}
	h, queue := &t.pool.holders, "queue"
	if t.control {
		h, queue = &t.pool.controlHolders, "control queue"
	}
	most, places := t.pool.mayHold(t.traits.Ends, t.control)
	if n := h.n.Add(1); places > 0 && n > int64(most) {
		h.n.Add(-1)
		return &crowdedError{queue, places, most}
	}
	t.held = h
	return nil
}

// A crowdedError is a conflict with what else is at work for the queue.
type crowdedError struct {
	queue        string
	places, most int
}

func (e *crowdedError) Error() string {
	return fmt.Sprintf("there is no room for it. A command that waits for something else to end (wait, logs with Follow, exec by the control queue, a stop or restart that may take over a minute, what is behind one for a minute, a command for a job that has not begun) keeps its message, and the %s hands over %d at a time: beside the runs under way, and one place for a stop, %d such are taken. Try again later, or raise --ahead", e.queue, e.places, e.most)
}

func (e *crowdedError) Is(target error) bool { return target == dockerapi.ErrConflict }

func (t *task) unhold() {
	if t.held != nil {
		t.held.n.Add(-1)
		t.held = nil
	}
}

// carryOut does the command. A wait, or a log that is followed, lasts as long as a run may.
func (t *task) carryOut() (event.Result, error) {
	limit := t.pool.Timeout
	if t.traits.Patient != nil { // the engine would go on, and nobody would know how it ended
		limit = 0
	}
	if t.traits.Lasts || t.held == nil || limit == 0 {
		return t.do()
	}
	outer := t.ctx
	ctx, cancel := context.WithTimeout(outer, limit)
	defer cancel()
	t.ctx = ctx
	defer func() { t.ctx = outer }()
	r, err := t.do()
	if err == nil && r.Status == event.Errored && ctx.Err() != nil && outer.Err() == nil {
		r.Status, r.Reason, r.EngineError = event.Failed, event.ReasonTimeout, ""
		r.Error = fmt.Sprintf("ended after %v, the longest that it may last", limit)
	}
	return r, err
}
