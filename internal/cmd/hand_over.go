package cmd

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// startOver is how long a message waits before it is requeued because a claim leads to no host.
const startOver = time.Second

// handOver settles all deliveries of a task that has no result here. If one is lost, the broker redelivers it to some host, which
// finds the claim as this one did. handOver returns false if the process stops first.
func (t *task) handOver(e *live.Elsewhere) bool {
	t.To(live.Forwarded)
	if t.pool.hosts.EndClaims(t.Ctx, &t.Task, e.Verdict == intake.Requeue && t.pool.hosts.ComesBack(&t.Task)) != nil {
		return false
	}
	var forwarded []intake.Job
	for {
		for _, j := range t.Take() {
			switch done, err := t.handOverOne(j, e); {
			case errors.Is(err, intake.ErrDeliveryLost):
				t.Log.Debug("delivery lost before it was forwarded; some host gets the redelivery")
			case err != nil:
				return false
			case done:
				forwarded = append(forwarded, j)
			}
		}
		if e.To.Ours { // only now: a later command goes home after this one
			t.Order.GivenBack.Store(true)
		}
		t.TakesEffect()
		if t.pool.jobs.Remove(&t.Task) {
			break
		}
	}
	t.To(live.Gone) // nothing need wait for the notes
	ctx, cancel := context.WithTimeout(t.Ctx, hosts.MostForNote)
	defer cancel()
	for _, j := range forwarded {
		if err := j.Moved(ctx); err != nil {
			t.Log.Debug("the other host was not told that the message is acked, and keeps the container for long", "error", err)
		}
	}
	return true
}

// handOverOne settles one delivery, and reports whether it was forwarded and acked.
func (t *task) handOverOne(j intake.Job, e *live.Elsewhere) (forwarded bool, err error) {
	if j.IsLost() {
		return false, intake.ErrDeliveryLost
	}
	v := e.Verdict
	switch v {
	case intake.Forward:
		err = j.Forward(t.Ctx, e.To, t.ID, t.overtakes())
	case intake.PutBack:
		if err = j.PutBack(t.Ctx, hostLook, t.ID); err == nil {
			v = intake.Ack
			t.pool.unplaced.put(t)
		}
	}
	if v == intake.Requeue || errors.Is(err, intake.ErrNoHost) {
		// Its job was settled just now, or its host released. Without the pause a claim of a host without a queue would be met at once again.
		t.pool.tally.Count(func(c *status.Counters) *int64 { return &c.LostClaims })
		t.Log.Info("the host that had the job has it no more; the message is requeued", "host", e.To.Host)
		t.Order.GivenBack.Store(true)
		v, err = intake.Requeue, delay.Sleep(t.Ctx, startOver)
	}
	t.Next(err == nil)
	if err == nil {
		err = j.Settle(t.Ctx, v, *t.Result())
	}
	if err != nil || v != intake.Forward {
		return false, err
	}
	t.pool.tally.Count(func(c *status.Counters) *int64 { return &c.Forwarded })
	said := "forwarded to the host that has the job"
	if e.To.Ours {
		said = "moved to this host's own queue, because too many commands of its queue wait for something else to end"
	}
	if t.pool.lines.Takes(slog.LevelInfo, said) {
		t.Log.Info(said, "host", e.To.Host, "command", t.Traits.Verb)
	}
	if j.Fence != nil {
		err = j.Fence(t.Ctx)
	}
	return err == nil, err
}

// overtakes reports whether a command may come to another host before runs that were forwarded earlier. It waits neither for a slot
// nor for room on the disk. It leaves the container with its name: otherwise a redelivered run would not find its container there, and
// the job would run twice.
func (t *task) overtakes() bool {
	c := t.Traits
	return c.Control && !c.Makes && !c.Removes && c.NewName == "" && (t.Control || !c.Lasts)
}

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
	j.Phase, j.For, j.Taken, j.Started = live.Waiting.String(), t.Traits.Where().String(), t.waitsFrom.UTC(), nil
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
