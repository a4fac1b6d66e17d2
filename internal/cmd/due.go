package cmd

import (
	"cmp"
	"maps"
	"slices"
)

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
