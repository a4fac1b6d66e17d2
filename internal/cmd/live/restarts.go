package live

// RestartsContainer records that t is to restart the container id, unless a run will remove it. The run of the container goes on: see isOver.
func (t *Task) RestartsContainer(id string) bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.in.removing(id) {
		return false
	}
	for _, run := range t.in.byContainer[id] {
		run.restarts++
	}
	t.in.enter(t, id)
	return true
}

// Restarting returns a live message's restart of the container id that is not over, or nil.
func (g *Registry) Restarting(id string) *Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.restartOf(id)
}

func (g *Registry) restartOf(id string) *Task {
	for _, t := range g.byContainer[id] {
		if t.within == id && !t.Traits.Lasts && t.phase < Ended {
			return t
		}
	}
	return nil
}

// RunIsOver reports whether a run is over whose container has exited, after the number of restarts seen. After that no message restarts
// the container if the run will remove it. by is the restart that is under way, if any.
func (t *Task) RunIsOver(seen int) (by *Task, over bool) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if by = t.in.restartOf(t.container); by != nil || t.restarts != seen {
		return by, false
	}
	t.in.move(t, Over)
	return nil, true
}

// Restarted returns how many messages have restarted the container of t.
func (t *Task) Restarted() int {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.containerOf.restarts
}
