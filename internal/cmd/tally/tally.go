// Package tally counts what has happened to jobs, and knows those that ended last.
package tally

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// A Tally counts since it was made.
type Tally struct {
	mu       sync.Mutex
	began    time.Time // when the tally was made
	busy     time.Time // since when there was a live job at all times, or there was one last
	counters status.Counters
	outcomes map[status.Outcome]int64         // by Outcome without Count
	ended    []status.Job                     // the jobs that ended last, the last one at the end
	failed   []status.Job                     // of all that ended, the last ones that failed
	slices   [status.RateOver / slice]rateBin // a ring

	Output atomic.Int64 // bytes that containers have written
}

// slice is the time that one bin of the rate counts.
const slice = 5 * time.Second

// A rateBin counts the jobs that ended in one slice of time.
type rateBin struct {
	at int64 // the slice's number since the epoch
	n  int
}

// New returns a Tally.
func New() *Tally {
	now := time.Now()
	return &Tally{began: now, busy: now, outcomes: make(map[status.Outcome]int64)}
}

// Take counts a delivery. joined: it is of a live job. idle: there was no live job.
func (a *Tally) Take(j intake.Job, joined, idle bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := &a.counters
	c.Taken++
	if j.Redelivered {
		c.Redelivered++
	}
	if joined {
		c.Joined++
	}
	if idle {
		a.busy, a.slices = time.Now(), [len(a.slices)]rateBin{}
	}
}

// Adopt counts the adoption of a run's container.
func (a *Tally) Adopt() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counters.Adopted++
}

// Count adds one to a counter.
func (a *Tally) Count(counter func(*status.Counters) *int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	*counter(&a.counters)++
}

// Start counts the start of a run's container that long after the publishing of its message.
func (a *Tally) Start(after time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counters.ToStart.Add(after)
}

// End counts the end of an attempt, and returns the job as an ended one. ofQueue: its message came by the queue, not by the
// control queue.
func (a *Tally) End(j status.Job, r *event.Result, ofQueue bool) status.Job {
	now := time.Now()
	j.Phase, j.For, j.Ended = "", "", r.FinishedAt
	j.Status, j.Reason, j.Error, j.ExitCode, j.Retrying, j.Adopted = string(r.Status), r.Reason, r.Error, r.ExitCode, r.Retrying, r.Adopted
	if r.StartedAt != nil {
		j.Started = r.StartedAt
	}
	if j.Ended == nil {
		j.Ended = new(now.UTC())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = latest(a.ended, j)
	if j.Failed() {
		a.failed = latest(a.failed, j)
	}
	a.outcomes[status.Outcome{Command: j.Command, Status: j.Status, Reason: j.Reason}]++
	if r.Retrying {
		a.counters.Retried++
	}
	if j.Started != nil && (j.Command == "run" || j.Command == "exec") {
		a.counters.ToEnd.Add(j.Ended.Sub(*j.Started))
	}
	if ofQueue && !r.Retrying {
		n := now.UnixNano() / int64(slice)
		bin := &a.slices[n%int64(len(a.slices))]
		if bin.at != n {
			*bin = rateBin{at: n}
		}
		bin.n++
	}
	return j
}

// Show adds what was counted.
func (a *Tally) Show(s *status.Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Since = a.began.UTC()
	for o, n := range a.outcomes {
		o.Count = n
		s.Outcomes = append(s.Outcomes, o)
	}
	slices.SortFunc(s.Outcomes, func(x, y status.Outcome) int {
		return cmp.Or(cmp.Compare(y.Count, x.Count), cmp.Compare(x.Command+x.Status+x.Reason, y.Command+y.Status+y.Reason))
	})
	s.Counters = a.counters
	s.OutputBytes = a.Output.Load()
	now, n := s.At.UnixNano()/int64(slice), 0
	for _, bin := range a.slices {
		if age := now - bin.at; age >= 0 && age < int64(len(a.slices)) {
			n += bin.n
		}
	}
	over := min(max(s.At.Sub(a.busy), slice), status.RateOver)
	s.PerMinute = float64(n) / over.Minutes()
}

// List returns the jobs that ended last, and those that failed last. Of each the last one is first.
func (a *Tally) List() (ended, failed []status.Job) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ended, failed = slices.Clone(a.ended), slices.Clone(a.failed)
	slices.Reverse(ended)
	slices.Reverse(failed)
	return ended, failed
}

// Container returns the id of the container of a job that is listed.
func (a *Tally) Container(job string) string {
	ended, failed := a.List()
	for _, j := range append(ended, failed...) {
		if j.Job == job {
			return j.ContainerID
		}
	}
	return ""
}

// latest appends a job to a list, and drops the first one if there are more than are listed.
func latest(jobs []status.Job, j status.Job) []status.Job {
	jobs = append(jobs, j)
	return jobs[max(0, len(jobs)-status.MostEnded):]
}
