package cmd

import (
	"context"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
)

// begin makes a task due, and records that the engine may be asked for something. false: it was not, see [live.Task.NotBegun].
func (p *Pool) begin(t *live.Task) bool {
	if !p.due(t) {
		return false
	}
	p.jobs.Begins(t.Order)
	return true
}

// due is begin for a task that asks the engine for nothing. A task that must be requeued waits while the command before
// it is at work. It looks again every second, because its reason may pass.
func (p *Pool) due(t *live.Task) bool {
	for {
		if !p.away() && t.ComesDue() {
			return true
		}
		p.recall()
		if t.At() >= live.Forwarded || t.WasCancelled() {
			return false
		}
		if b := t.Order.Before.Load(); b != nil {
			if _, err := live.AwaitEither(t, b.Effective, time.After(time.Second)); err != nil {
				return false
			}
		}
	}
}

// away reports whether nothing may begin: the engine is away, or the process stops.
func (p *Pool) away() bool {
	open, _ := p.Gate.State()
	return !open || closed.Is(p.stopping)
}

// recall requeues waiting tasks: all if nothing may begin, else those that cannot begin here any more. It does so one by
// one, oldest first: a queue may redeliver in the order of the requeues, and commands on one container must keep theirs.
// It leaves out tasks after a command that is at work on the same container. That command may itself be requeued, and
// the tasks after it later.
func (p *Pool) recall() {
	p.recalling.Lock() // one recall at a time: the earlier one has the older messages
	defer p.recalling.Unlock()
	for _, t := range p.jobs.Recalls(p.away()) {
		p.giveBack(t)
		t.To(live.Requeued)
	}
}

// watchGate recalls the waiting tasks each time the gate closes, until ctx ends.
func (p *Pool) watchGate(ctx context.Context) {
	for {
		open, changed := p.Gate.State()
		if !open {
			p.recall()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// releases gives up the claims of a recalled task, whose message is about to be requeued.
func (p *Pool) releases(t *live.Task) {
	ctx, cancel := context.WithTimeout(t.Ctx, lastLook)
	defer cancel()
	if err := p.hosts.EndClaims(ctx, t, p.hosts.ComesBack(t)); err != nil {
		t.Log.Debug("claims not deleted before the requeue; the message is forwarded here", "error", err)
	}
}

// giveBack requeues the message of a recalled task. Later commands on its container may be requeued only after that.
func (p *Pool) giveBack(t *live.Task) {
	t.Log.Debug("job not begun; requeued")
	p.releases(t)
	for {
		for _, j := range t.Take() {
			t.Next(true)
			if err := j.Settle(t.Ctx, intake.Requeue, *p.carrier.Result(t)); err != nil {
				t.Log.Debug("message not requeued", "error", err)
			}
		}
		if p.jobs.Remove(t) {
			break
		}
	}
	t.Order.GivenBack.Store(true)
	t.TakesEffect()
}
