package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
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

// shownLines is how many lines of a job's output are shown before those to come.
const shownLines = "500"

// ErrNoLog is the error of Output if a job has no log that can be read.
var ErrNoLog = errors.New("no log")

// Output writes what the log of a job's container has: the last lines, and what follows until the container exits or ctx ends.
// It finds the jobs that Status shows. The container of a run with Remove is gone after its end, and its log with it.
func (p *Pool) Output(ctx context.Context, job string, w io.Writer) error {
	id := cmp.Or(p.jobs.ContainerByJob(job), p.tally.Container(job))
	if id == "" {
		return fmt.Errorf("%w: the job %q has no container here", ErrNoLog, job)
	}
	c, err := p.Docker.InspectContainer(ctx, id)
	if errors.Is(err, dockerapi.ErrNoSuchContainer) {
		return fmt.Errorf("%w: the container of the job %q was removed, and its log with it", ErrNoLog, job)
	}
	if err != nil {
		return err
	}
	join, err := p.Docker.ContainerLogs(ctx, c.ID, dockerapi.LogsOptions{Follow: true, Stdout: w, Stderr: w, Tty: c.Tty, Tail: shownLines})
	if err == nil {
		err = join()
	}
	if errors.Is(err, dockerapi.ErrLogsUnreadable) {
		return fmt.Errorf("%w: the container's log driver %q keeps none; choose one that does, such as local", ErrNoLog, c.LogDriver)
	}
	return err
}
