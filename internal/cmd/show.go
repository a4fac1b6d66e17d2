package cmd

import (
	"cmp"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// waitFor is what a task waits for before it is due.
type waitFor int32

const (
	waitTurn    waitFor = iota // it has only just come
	waitMessage                // an earlier task of its message has not ended
	waitCommand                // an earlier command on its container has not taken effect
	waitJob                    // the job that it names has not begun
	waitShare                  // its user has as many jobs under way as the policy allows
	waitSlot                   // as many runs and execs go on as --concurrency allows
)

// words says what a task waits for.
func (w waitFor) words(t *task) string {
	switch w {
	case waitMessage:
		return "an earlier delivery of the message to end"
	case waitCommand:
		return "an earlier command on " + cmp.Or(t.name, "its container")
	case waitJob:
		return "the job that it is for"
	case waitShare:
		return "another job of its user to end (Max.Jobs of the policy)"
	case waitSlot:
		return "a free place (--concurrency)"
	}
	return "its turn"
}

// Status returns the jobs, their numbers, and the conditions that the pool knows. It may be called while Run is at work.
func (p *Pool) Status() status.Status {
	s := status.Status{Host: p.Host, Queue: p.Queue, At: time.Now().UTC(), Slots: p.Concurrency, InUse: p.Concurrency - p.slots.unused()}
	p.jobs.show(&s)
	p.tally.show(&s)
	engineAway := p.engine.failure()
	s.Conditions = append(s.Conditions, engineCondition(engineAway))
	if p.MinFree > 0 {
		s.Conditions = append(s.Conditions, p.room.condition())
		s.Disk = p.room.disk()
	}
	if engineAway != nil {
		for i := range s.Waiting.Jobs {
			s.Waiting.Jobs[i].For = "the engine"
		}
	}
	return s
}

func engineCondition(err error) status.Condition {
	if err != nil {
		return status.Condition{Name: "engine", State: status.Unmet, Reason: err.Error()}
	}
	return status.Condition{Name: "engine", State: status.Met, Reason: "it answers"}
}

// show adds the live jobs.
func (g *registry) show(s *status.Status) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var running, waiting []*task
	for t := range g.live {
		switch t.phase {
		case phaseWaiting, phaseDue:
			waiting = append(waiting, t)
		case phaseBegun, phaseCreated, phaseStarted, phaseExited:
			running = append(running, t)
		case phaseEnded, phaseStored:
			s.Settling++
		}
	}
	s.Running = shown(running, func(a, b *task) int { return a.began.Compare(b.began) })
	s.Waiting = shown(waiting, func(a, b *task) int { return cmp.Compare(a.seq, b.seq) })
}

// shown returns the tasks in that order. The registry's mutex is held.
func shown(tasks []*task, order func(a, b *task) int) status.Jobs {
	slices.SortFunc(tasks, order)
	jobs := status.Jobs{Count: len(tasks)}
	for _, t := range tasks[:min(len(tasks), status.Most)] {
		jobs.Jobs = append(jobs.Jobs, t.show())
	}
	return jobs
}

// show returns the task as it is shown. The registry's mutex is held.
func (t *task) show() status.Job {
	j := status.Job{
		Job: t.id, Command: t.traits.Verb, ContainerName: t.name, ContainerID: cmp.Or(t.container, t.within),
		User: t.user, Attempt: t.shownAttempt(), Phase: t.phase.String(), Taken: t.came.UTC(),
	}
	if t.cmd != nil {
		j.Image = message.ImageOf(t.cmd)
	}
	if !t.published.IsZero() {
		j.Published = new(t.published.UTC())
	}
	if !t.began.IsZero() {
		j.Started = new(t.began.UTC())
	}
	if t.phase < phaseBegun {
		j.Phase, j.For = phaseWaiting.String(), waitFor(t.awaits.Load()).words(t)
	}
	return j
}

// ends counts the end of a task's attempt, and returns the task as an ended job is shown.
func (p *Pool) ends(t *task, r *event.Result) status.Job {
	p.jobs.mu.Lock()
	j := t.show()
	p.jobs.mu.Unlock()
	return p.tally.end(j, r)
}
