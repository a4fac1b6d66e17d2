package cmd

import (
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// Status returns the jobs, their numbers, and the conditions that the pool knows. It may be called while Run is at work.
func (p *Pool) Status() status.Status {
	s := p.Numbers()
	s.Ended, s.Failed = p.tally.List()
	p.jobs.List(&s)
	if p.engine.Failure() != nil {
		for i := range s.Waiting.Jobs {
			s.Waiting.Jobs[i].For = "the engine"
		}
	}
	unplaced := p.unplaced.list()
	s.Waiting.Count += len(unplaced)
	s.Waiting.Jobs = append(s.Waiting.Jobs, unplaced[:min(len(unplaced), max(0, status.Most-len(s.Waiting.Jobs)))]...)
	return s
}

// Numbers returns a Status without its lists of jobs, which costs little however many jobs there are.
func (p *Pool) Numbers() status.Status {
	s := status.Status{Host: p.Host, Queue: p.Queue, At: time.Now().UTC(), Slots: p.Concurrency, InUse: p.Concurrency - p.jobs.Slots.Unused()}
	p.tally.Show(&s)
	p.jobs.Count(&s)
	s.Conditions = append(s.Conditions, p.engine.Condition())
	if p.MinFree > 0 {
		s.Conditions = append(s.Conditions, p.room.Condition())
		s.Disk = p.room.Disk()
	}
	return s
}

// ends counts the end of a task's attempt, and returns the task as an ended job is shown.
func (p *Pool) ends(t *live.Task, r *event.Result) status.Job {
	j := t.Show()
	j.DeadLetter = verdict(r) == intake.DeadLetter
	return p.tally.End(j, r, !t.Control)
}
