package cmd

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

// begin ends the wait of a task whose turn has come. It returns false where the task was recalled, or cancelled.
func (p *Pool) begin(t *task) bool {
	if !p.due(t) {
		return false
	}
	p.jobs.begins(t.order)
	return true
}

// due is begin of a task that asks the engine for nothing. A task that has to go back stays while the command
// before it is at work; it looks again now and then, for its reason may pass.
func (p *Pool) due(t *task) bool {
	for {
		if !p.away() && p.jobs.comesDue(t) {
			return true
		}
		p.recall()
		if p.jobs.at(t) == phaseRequeued || t.wasCancelled() {
			return false
		}
		if b := t.order.before.Load(); b != nil {
			if _, err := awaitEither(t, b.effective, time.After(time.Second)); err != nil {
				return false
			}
		}
	}
}

// comesDue moves a waiting task on, unless it has to go back.
func (g *registry) comesDue(t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !t.goesBack() && g.move(t, phaseDue)
}

// goesBack tells whether a task is to go back to its queue even while others may begin: it stands behind
// one that did, or the broker has taken its message back already, and may have given it to somebody else.
// The registry's mutex is held.
func (t *task) goesBack() bool {
	b := t.order.before.Load()
	return b != nil && b.givenBack.Load() || t.orphaned()
}

// away tells whether nothing may begin.
func (p *Pool) away() bool {
	open, _ := p.Gate.State()
	select {
	case <-p.stopping:
		return true
	default:
		return !open
	}
}

// recall gives waiting tasks back to their queue: all where nothing may begin, while the engine is away or the process stops,
// and else those that have to go back. It does so in one place and oldest first, since a queue may deliver again in the
// order in which it gets messages back, and commands on one container must keep theirs. It leaves out what stands behind a
// command that is at work on the same container: that may itself be given back, and those behind it afterwards.
func (p *Pool) recall() {
	p.recalling.Lock() // one after the other: an earlier one has the older messages
	defer p.recalling.Unlock()
	for _, t := range p.jobs.recalls(p.away()) {
		t.giveBack()
		p.jobs.to(t, phaseRequeued)
	}
}

// recalls moves the tasks that are to be given back on, and returns them.
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

// watchGate recalls what is pending each time the gate closes.
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

// unbegin gives back a task whose turn had come, but of which nothing has reached the engine. It returns
// false where the engine is back meanwhile.
func (t *task) unbegin() bool {
	t.pool.jobs.to(t, phaseWaiting)
	return !t.pool.begin(t)
}
