package cmd

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// holds tells whether a command keeps its message for as long as something else goes on, without a place of its own:
// a queue hands over so many messages at a time, and a stop must be among them.
func (t *task) holds() bool {
	switch c := t.cmd.(type) {
	case *Wait:
		return true
	case *Logs:
		return c.Follow || t.order.patient
	case *Exec:
		return t.control || t.order.patient
	}
	return t.order.patient
}

// holders counts the commands of a queue that hold. They may be half of the messages that it hands over.
type holders struct{ n atomic.Int64 }

// hold counts the task among those that hold, until unhold.
func (t *task) hold() error {
	if t.held != nil {
		return nil
	}
	h, places, queue := &t.pool.holders, t.pool.Places, "queue"
	if t.control {
		h, places, queue = &t.pool.controlHolders, t.pool.ControlPlaces, "control queue"
	}
	if n := h.n.Add(1); places > 0 && n > int64(places/2) {
		h.n.Add(-1)
		err := fmt.Errorf("%w: of the %d messages that the %s hands over at a time, %d can wait for something else to end (wait, logs with Follow, exec by the control queue, stop and restart with a Time over a minute and what is behind them, a command for a job that has not begun), and as many do", dockerapi.ErrConflict, places, queue, places/2)
		if !t.pool.begin(t) {
			return t.notBegun()
		}
		return err
	}
	t.held = h
	return nil
}

func (t *task) unhold() {
	if t.held != nil {
		t.held.n.Add(-1)
		t.held = nil
	}
}

// carryOut does the command. A wait, or a log that is followed, lasts as long as a run may.
func (t *task) carryOut() (Result, func() error, error) {
	limit := t.pool.Timeout
	switch t.cmd.(type) {
	case *Stop, *Restart: // the engine would go on, and nobody would know how it ended
		limit = 0
	}
	if lasts(t.cmd) || !t.holds() || limit == 0 {
		return t.cmd.do(t)
	}
	outer := t.ctx
	ctx, cancel := context.WithTimeout(outer, limit)
	defer cancel()
	t.ctx = ctx
	defer func() { t.ctx = outer }()
	r, cleanup, err := t.cmd.do(t)
	if err == nil && r.Status == Errored && ctx.Err() != nil && outer.Err() == nil {
		r.Status, r.Reason, r.EngineError = Failed, ReasonTimeout, ""
		r.Error = fmt.Sprintf("ended after %v, the longest that it may last", limit)
	}
	return r, cleanup, err
}
