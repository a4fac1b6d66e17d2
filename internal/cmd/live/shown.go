package live

import (
	"cmp"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// Idle reports whether there is no live job.
func (g *Registry) Idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.live) == 0
}

// Count adds how many jobs there are, and since when the oldest of them run and wait.
func (g *Registry) Count(s *status.Status) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for t := range g.live {
		switch {
		case t.phase.waits():
			s.Waiting.Count++
			s.OldestWaiting = earlier(s.OldestWaiting, t.waitsSince())
		case t.phase.runs():
			s.Running.Count++
			s.OldestRunning = earlier(s.OldestRunning, t.began)
		case t.phase == Ended, t.phase == Stored:
			s.Settling++
		}
	}
}

// earlier returns the earlier of two times; the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// Fresh reports whether the publishing time tells how long the job has waited. A later attempt, and a dead letter that was
// sent again, keep the time of the first publishing.
func (t *Task) Fresh() bool { return !t.Published.IsZero() && t.Attempt <= 1 && t.Copy == "" }

// waitsSince returns since when the job waits: since its publishing, where that is known.
func (t *Task) waitsSince() time.Time {
	if t.Fresh() {
		return t.Published
	}
	return t.came
}

// A ranked is a task and its place in a list.
type ranked struct {
	rank int64
	task *Task
}

// List replaces the counts of running and waiting jobs by lists of them. The jobs are sorted without the mutex, which the
// pool needs. So a job that moves on meanwhile is shown in its new phase.
func (g *Registry) List(s *status.Status) {
	var running, waiting []ranked
	g.mu.Lock()
	for t := range g.live {
		switch {
		case t.phase.waits():
			waiting = append(waiting, ranked{t.seq, t})
		case t.phase.runs():
			running = append(running, ranked{t.began.UnixNano(), t})
		}
	}
	g.mu.Unlock()
	s.Running, s.Waiting = g.first(running), g.first(waiting)
}

// first returns how many tasks these are, and the first of them as they are shown.
func (g *Registry) first(tasks []ranked) status.Jobs {
	slices.SortFunc(tasks, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	jobs := status.Jobs{Count: len(tasks)}
	if tasks = tasks[:min(len(tasks), status.Most)]; len(tasks) > 0 {
		jobs.Jobs = make([]status.Job, 0, len(tasks))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range tasks {
		jobs.Jobs = append(jobs.Jobs, r.task.shown())
	}
	return jobs
}

// Show returns the task as it is shown.
func (t *Task) Show() status.Job {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.shown()
}

// shown is Show with the registry's mutex held.
func (t *Task) shown() status.Job {
	j := status.Job{
		Job: t.ID, Command: t.Traits.Verb, ContainerName: t.Name, ContainerID: cmp.Or(t.container, t.within),
		User: t.User, Attempt: t.ShownAttempt(), Phase: t.phase.String(), Taken: t.came.UTC(),
	}
	if t.Cmd != nil {
		j.Image = t.Traits.Image
		j.ContainerName = cmp.Or(t.Name, t.Cmd.Target()) // a refused job has no name yet
	}
	if !t.Published.IsZero() {
		j.Published = new(t.Published.UTC())
	}
	if !t.began.IsZero() {
		j.Started = new(t.began.UTC())
	}
	if t.phase < Begun {
		j.Phase, j.For = Waiting.String(), "its turn"
		if what, ok := t.Awaits.Load().(string); ok {
			j.For = what
		}
	}
	return j
}
