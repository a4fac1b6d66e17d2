package cmd

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// holds reports whether a command keeps its message unacked while something else goes on, and has no slot. Such commands
// are limited: the broker delivers a bounded number of unacked messages, and a stop must still come through. How long a
// stop may take is known only with its container.
func (t *task) holds() bool {
	var own *int
	if t.On != nil {
		own = t.On.StopTimeout
	}
	return t.Traits.Waits || t.Traits.Lasts && t.Control || t.Traits.Patient != nil && t.Traits.Patient(own)
}

// soon is how long a command may wait for one that holds before it counts as holding too.
const soon = time.Minute

// awaitBefore waits for the command before. If that is still patient after soon, the task holds too. If the command before may go
// home yet, the task looks again every second.
func (t *task) awaitBefore(before *live.Order) error {
	tick := time.NewTicker(soon)
	defer tick.Stop()
	for {
		late, err := live.AwaitEither(&t.Task, before.Turn(t.Order), tick.C)
		if !late {
			return err
		}
		if before.Patient() {
			if t.pool.hosts.MayGoHome(&t.Task) && before.MayMove() {
				tick.Reset(time.Second)
				continue
			}
			if err := t.hold(); err != nil {
				return err
			}
		}
	}
}

// holders counts the commands of a queue that hold.
type holders struct{ n atomic.Int64 }

// mayHold returns how many commands of a queue may hold, and how many messages the queue delivers at a time (places). The
// limit is places/2, or places-1-Concurrency if that is more. Beside the runs under way one place stays free for a
// stop. Commands that do not end a container get places/2 at most, and leave a place for one that does.
func (p *Pool) mayHold(ends, apart bool) (n, places int) {
	places, runs := p.Places, p.Concurrency
	room := places - 1 - (runs - p.jobs.Slots.Unused())
	if apart {
		places, runs, room = p.ControlPlaces, 0, p.ControlPlaces-1
	}
	most := max(places/2, places-1-runs)
	if !ends {
		most = max(1, min(places/2, most-1))
	}
	return max(0, min(room, most)), places
}

// hold counts the task as holding, until unhold. If too many hold already, its message goes home. If it cannot, the error is a
// [dockerapi.ErrConflict].
func (t *task) hold() error {
	if t.held != nil {
		return nil
	}
	h, apart := &t.pool.holders, t.Control || t.From != nil // the host queue has as many places as the control queue, and more
	switch {
	case t.From != nil:
		h = &t.pool.hostHolders
	case t.Control:
		h = &t.pool.controlHolders
	}
	most, places := t.pool.mayHold(t.Traits.Ends, apart)
	if n := h.n.Add(1); places > 0 && n > int64(most) {
		h.n.Add(-1)
		if t.pool.hosts.MayGoHome(&t.Task) {
			return t.pool.hosts.GoesHome(&t.Task)
		}
		return &crowdedError{apart, places, most}
	}
	t.held = h
	t.Order.Stays.Store(true)
	return nil
}

// A crowdedError is the conflict that too many commands of the queue hold already.
type crowdedError struct {
	apart        bool // not of the queue: no option changes the places
	places, most int
}

func (e *crowdedError) Error() string {
	queue, hint := "queue", ", or raise --ahead"
	if e.apart {
		queue, hint = "control queue or from other hosts", ""
	}
	return fmt.Sprintf("too many commands of the %s wait for something else to end (wait, logs with Follow, exec by the control queue, a stop or restart that may take over a minute, a command that has waited a minute for one of these, a command for a job that has not begun). "+
		"Each keeps its message; the broker delivers %d messages at a time, and at most %d of them may wait so, beside the runs under way and a stop. Try again later%s", queue, e.places, e.most, hint)
}

func (e *crowdedError) Is(target error) bool { return target == dockerapi.ErrConflict }

func (t *task) unhold() {
	if t.held != nil {
		t.held.n.Add(-1)
		t.held = nil
	}
}

// carryOut does the command. A wait, or a log that is followed, ends after the time limit, as a run does.
func (t *task) carryOut() (*event.Result, error) {
	limit := t.TimeLimit()
	if t.Traits.Patient != nil { // cut short, a stop would go on in the engine, with its outcome unknown
		limit = 0
	}
	if t.Traits.Lasts || t.held == nil || limit == 0 {
		return t.Do()
	}
	outer := t.Ctx
	ctx, cancel := context.WithTimeout(outer, limit)
	defer cancel()
	t.Ctx = ctx
	defer func() { t.Ctx = outer }()
	r, err := t.Do()
	if err == nil && r.Status == event.Errored && ctx.Err() != nil && outer.Err() == nil {
		r.Status, r.Reason, r.EngineError = event.Failed, event.ReasonTimeout, ""
		r.Error = fmt.Sprintf("ended after %v, its time limit", limit)
	}
	return r, err
}
