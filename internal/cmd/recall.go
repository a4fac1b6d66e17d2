package cmd

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// pending is the tasks that have been accepted and have not begun. While the engine is away, or the
// program stops, they are recalled: given back to their queue, in one place and oldest first, since
// a queue may deliver again in the order in which it gets messages back, and commands on one
// container must keep theirs.
type pending struct {
	recalling sync.Mutex // one recall after the other: an earlier one has the older messages
	mu        sync.Mutex
	tasks     map[*task]struct{} // guarded by mu
}

func (p *pending) add(t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tasks[t] = struct{}{}
}

// begin ends the wait of a task whose turn has come. It returns false where the task was recalled, or cancelled.
func (p *Pool) begin(t *task) bool {
	if !p.leavesPending(t) {
		return false
	}
	p.jobs.begins(t.order)
	return true
}

// leavesPending is begin of a task that asks the engine for nothing. A task that has to go back stays while the command
// before it is at work; it looks again now and then, for its reason may pass.
func (p *Pool) leavesPending(t *task) bool {
	for {
		p.pending.mu.Lock()
		if _, waits := p.pending.tasks[t]; waits && !p.away() && !p.goesBack(t) {
			delete(p.pending.tasks, t)
			p.pending.mu.Unlock()
			return true
		}
		p.pending.mu.Unlock()
		p.recall()
		if t.wasRecalled() || t.wasCancelled() {
			return false
		}
		if b := t.order.before.Load(); b != nil {
			if _, err := awaitEither(t, b.effective, time.After(time.Second)); err != nil {
				return false
			}
		}
	}
}

// goesBack tells whether a task is to go back to its queue even while others may begin: it stands behind
// one that did, or the broker has taken its message back already, and may have given it to somebody else.
func (p *Pool) goesBack(t *task) bool {
	b := t.order.before.Load()
	return b != nil && b.givenBack.Load() || p.jobs.lost(t)
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

// recall gives back all pending tasks where nothing may begin, and else those that have to go back. It leaves out what stands behind a command that is at work on the
// same container: that may itself be given back, and those behind it come to begin afterwards.
func (p *Pool) recall() {
	p.pending.recalling.Lock()
	defer p.pending.recalling.Unlock()
	all := p.away()

	p.pending.mu.Lock()
	var batch []*task
	for t := range p.pending.tasks {
		batch = append(batch, t)
	}
	slices.SortFunc(batch, func(a, b *task) int { return cmp.Compare(a.seq, b.seq) })
	chosen := make(map[*order]bool)
	batch = slices.DeleteFunc(batch, func(t *task) bool {
		b := t.order.before.Load()
		switch {
		case b != nil && chosen[b]:
		case b != nil && !b.tookEffect():
			return true
		case !all && !p.goesBack(t):
			return true
		}
		chosen[t.order] = true
		delete(p.pending.tasks, t)
		return false
	})
	p.pending.mu.Unlock()

	for _, t := range batch {
		t.giveBack()
		close(t.recalled)
	}
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

func (t *task) wasRecalled() bool { return isClosed(t.recalled) }

// unbegin gives back a task that has begun, but of which nothing has reached the engine. It returns
// false where the engine is back meanwhile.
func (t *task) unbegin() bool {
	t.pool.pending.add(t)
	return !t.pool.begin(t)
}

// notBegun is why a task has not begun.
func (t *task) notBegun() error {
	if t.wasCancelled() && !t.wasRecalled() {
		return errCancelled
	}
	if t.ctx.Err() != nil && !t.wasRecalled() {
		return context.Cause(t.ctx)
	}
	return errNotBegun
}
