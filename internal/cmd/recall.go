package cmd

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

// begin makes a task due, and records that the engine may be asked for something. false: it was not, see notBegun.
func (p *Pool) begin(t *task) bool {
	if !p.due(t) {
		return false
	}
	p.jobs.begins(t.order)
	return true
}

// due is begin for a task that asks the engine for nothing. A task that must be requeued waits while the command before
// it is at work. It looks again every second, because its reason may pass.
func (p *Pool) due(t *task) bool {
	for {
		if !p.away() && t.comesDue() {
			return true
		}
		p.recall()
		if t.at() >= phaseForwarded || t.wasCancelled() {
			return false
		}
		if b := t.order.before.Load(); b != nil {
			if _, err := awaitEither(t, b.effective, time.After(time.Second)); err != nil {
				return false
			}
		}
	}
}

// comesDue makes a waiting task due, unless it must be requeued.
func (t *task) comesDue() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return !t.goesBack() && t.in.move(t, phaseDue)
}

// goesBack reports whether a task must be requeued even while others may begin: the command before it was requeued, or
// all its deliveries are lost, and another consumer may have the message. The registry's mutex is held.
func (t *task) goesBack() bool {
	b := t.order.before.Load()
	return b != nil && b.givenBack.Load() || t.orphaned()
}

// away reports whether nothing may begin: the engine is away, or the process stops.
func (p *Pool) away() bool {
	open, _ := p.Gate.State()
	select {
	case <-p.stopping:
		return true
	default:
		return !open
	}
}

// recall requeues waiting tasks: all if nothing may begin, else those for which goesBack reports true. It does so one by
// one, oldest first: a queue may redeliver in the order of the requeues, and commands on one container must keep theirs.
// It leaves out tasks after a command that is at work on the same container. That command may itself be requeued, and
// the tasks after it later.
func (p *Pool) recall() {
	p.recalling.Lock() // one recall at a time: the earlier one has the older messages
	defer p.recalling.Unlock()
	for _, t := range p.jobs.recalls(p.away()) {
		t.giveBack()
		t.to(phaseRequeued)
	}
}

// recalls moves the tasks that are to be requeued to phaseRecalled, and returns them, oldest first.
func (g *registry) recalls(all bool) []*task {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch := slices.SortedFunc(maps.Keys(g.waiting), func(a, b *task) int { return cmp.Compare(a.seq, b.seq) })
	chosen := make(map[*order]bool)
	return slices.DeleteFunc(batch, func(t *task) bool {
		b := t.order.before.Load()
		switch {
		case b != nil && chosen[b]:
		case b != nil && !b.tookEffect():
			return true
		case !all && !t.goesBack():
			return true
		}
		chosen[t.order] = true
		return !g.move(t, phaseRecalled)
	})
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

// unbegin makes a due task, of which the engine was told nothing, wait again. It returns false if the task is due again
// at once, because the engine is back.
func (t *task) unbegin() bool {
	t.to(phaseWaiting)
	return !t.pool.begin(t)
}
