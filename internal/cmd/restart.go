package cmd

import "context"

// A message may restart the container of a run. Then the run goes on: it is over when its container has exited and no restart is under way.

// awaitRestart waits until a restart of the container is over; nil: it is.
func (f *following) awaitRestart(ctx context.Context, by *task) error {
	if by == nil {
		return nil
	}
	select {
	case <-f.pool.jobs.reached(by, phaseEnded):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// restarts records that t is to restart the container id, unless a run will remove it. The run of the container goes on: see isOver.
func (g *registry) restarts(t *task, id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.removing(id) {
		return false
	}
	for _, run := range g.byContainer[id] {
		run.restarts++
	}
	g.enter(t, id)
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

// isOver reports whether a run is over whose container has exited, after the number of restarts seen. After that no message restarts
// the container if the run will remove it. by is the restart that is under way, if any.
func (g *registry) isOver(t *task, seen int) (by *task, over bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if by = g.restartOf(t.container); by != nil || t.restarts != seen {
		return by, false
	}
	g.move(t, phaseOver)
	return nil, true
}

// restarted returns how many messages have restarted the container of t.
func (g *registry) restarted(t *task) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.containerOf.restarts
}
