package cmd

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

const (
	// hostLook is how long a message that waits for a host is put back for. Then a host may be there.
	hostLook = 10 * time.Second
	// shownFor is how long such a job is shown as waiting. Each daemon of the queue may take the message next, and show it.
	shownFor = hostLook + 5*time.Second
	// mostUnplaced bounds how many of them are remembered.
	mostUnplaced = 5_000
)

// unplaced are the jobs whose messages this process has put back lately, by id. The zero unplaced is empty.
type unplaced struct {
	mu   sync.Mutex
	jobs map[string]unplacedJob
}

type unplacedJob struct {
	status.Job
	at time.Time // when it was put back
}

// put adds a job.
func (u *unplaced) put(t *task) {
	j := t.Show()
	j.Phase, j.For, j.Taken, j.Started = live.Waiting.String(), message.PlacementOf(t.Cmd).String(), t.waitsFrom.UTC(), nil
	j.Cut()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.jobs == nil {
		u.jobs = make(map[string]unplacedJob)
	}
	if len(u.jobs) >= mostUnplaced {
		u.expire()
	}
	if len(u.jobs) < mostUnplaced {
		u.jobs[t.ID] = unplacedJob{j, time.Now()}
	}
}

// drop takes a job away, whose message has come.
func (u *unplaced) drop(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.jobs, id)
}

// expire drops the jobs whose messages others should have by now. u.mu is held.
func (u *unplaced) expire() {
	maps.DeleteFunc(u.jobs, func(_ string, j unplacedJob) bool { return time.Since(j.at) > shownFor })
}

// list returns the jobs, those that have waited for longest first.
func (u *unplaced) list() (jobs []status.Job) {
	u.mu.Lock()
	u.expire()
	for _, j := range u.jobs {
		jobs = append(jobs, j.Job)
	}
	u.mu.Unlock()
	slices.SortFunc(jobs, func(a, b status.Job) int { return a.Taken.Compare(b.Taken) })
	return jobs
}
