package live

import (
	"cmp"
	"maps"
	"slices"
)

// ComesDue makes a waiting task due, unless it must be requeued.
func (t *Task) ComesDue() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return !t.goesBack() && t.in.move(t, Due)
}

// goesBack reports whether a task must be requeued even while others may begin: the command before it was requeued, or
// all its deliveries are lost, and another consumer may have the message. The registry's mutex is held.
func (t *Task) goesBack() bool {
	b := t.Order.Before.Load()
	return b != nil && b.GivenBack.Load() || t.orphaned()
}

// Recalls moves the tasks that are to be requeued to phaseRecalled, and returns them, oldest first.
func (g *Registry) Recalls(all bool) []*Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch := slices.SortedFunc(maps.Keys(g.waiting), func(a, b *Task) int { return cmp.Compare(a.seq, b.seq) })
	chosen := make(map[*Order]bool)
	return slices.DeleteFunc(batch, func(t *Task) bool {
		b := t.Order.Before.Load()
		switch {
		case b != nil && chosen[b]:
		case b != nil && !b.TookEffect():
			return true
		case !all && !t.goesBack():
			return true
		}
		chosen[t.Order] = true
		return !g.move(t, Recalled)
	})
}
