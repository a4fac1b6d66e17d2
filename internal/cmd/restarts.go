package cmd

// restartsContainer records that t is to restart the container id, unless a run will remove it. The run of the container goes on: see isOver.
func (t *task) restartsContainer(id string) bool {
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

// restarting returns a live message's restart of the container id that is not over, or nil.
func (g *registry) restarting(id string) *task {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.restartOf(id)
}

func (g *registry) restartOf(id string) *task {
	for _, t := range g.byContainer[id] {
		if t.within == id && !t.traits.Lasts && t.phase < phaseEnded {
			return t
		}
	}
	return nil
}

// runIsOver reports whether a run is over whose container has exited, after the number of restarts seen. After that no message restarts
// the container if the run will remove it. by is the restart that is under way, if any.
func (t *task) runIsOver(seen int) (by *task, over bool) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if by = t.in.restartOf(t.container); by != nil || t.restarts != seen {
		return by, false
	}
	t.in.move(t, phaseOver)
	return nil, true
}

// restarted returns how many messages have restarted the container of t.
func (t *task) restarted() int {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.containerOf.restarts
}
