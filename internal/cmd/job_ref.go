package cmd

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// errCancelled is the end of a job that a message named before it had begun.
var errCancelled = errors.New("cancelled: a message asked for its end before it had started")

// ends tells whether a command asks for the end of its container.
func ends(c Command) bool {
	switch c := c.(type) {
	case *Stop, *Remove:
		return true
	case *Kill:
		return c.ends()
	}
	return false
}

// resolve finds the container of the job that a command names. A job that has not begun is cancelled by one that
// asks for its end: then there is nothing more to do.
func (t *task) resolve(r *Ref) (cancelled bool, err error) {
	for {
		job := t.pool.jobs.run(r.Job)
		if job == nil {
			break
		}
		if ends(t.cmd) && t.pool.pending.cancel(job) {
			t.log.Info("job cancelled before it had started", "cancelled", r.Job)
			return true, nil
		}
		if job.retries() {
			t.cancelNext(r.Job)
		}
		if id := job.container.Load(); id != nil {
			r.Container, t.name = *id, t.pool.jobs.nameOf(job)
			return false, nil
		}
		select { // it is about to create its container, or to be given back
		case <-job.order.effective:
		case <-t.ctx.Done():
			return false, t.ctx.Err()
		}
		if job.container.Load() == nil {
			if err := t.await(job.ended); err != nil {
				return false, err
			}
		}
	}
	var list []dockerapi.ContainerSummary
	err = t.try(func() (err error) {
		list, err = t.pool.Docker.ListContainers(t.ctx, dockerapi.ListOptions{
			All: true, Labels: []string{LabelQueue + "=" + t.queue, LabelJob + "=" + r.Job},
		})
		return err
	})
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(list, func(c dockerapi.ContainerSummary) bool { return t.ofQueue(c.Labels) }) // the newest
	if i < 0 {
		err := fmt.Errorf("%w of the job %s, which is not at work here", dockerapi.ErrNoSuchContainer, quote(r.Job))
		if t.cancelNext(r.Job) {
			err = fmt.Errorf("%w; if its message comes within the next %v, it is refused", err, recent)
		}
		return false, err
	}
	r.Container, t.name = list[i].ID, list[i].Name
	if list[i].Labels[LabelAttempt] != "" {
		t.cancelNext(r.Job)
	}
	return false, nil
}

// cancelNext has the job's next message refused, where the command asks for the job's end: it is the next attempt, or
// has not come yet.
func (t *task) cancelNext(job string) bool {
	if _, ok := t.cmd.(*Remove); ok || !ends(t.cmd) {
		return false // what is removed is what has been
	}
	t.pool.jobs.cancel(job)
	return true
}

// cancel ends the wait of a task that has not begun. It returns false where it has, or is given back.
func (p *pending) cancel(t *task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, waits := p.tasks[t]; !waits {
		return false
	}
	delete(p.tasks, t)
	close(t.cancelled)
	return true
}

func (t *task) wasCancelled() bool {
	select {
	case <-t.cancelled:
		return true
	default:
		return false
	}
}

// retries tells whether a run is over, and may be tried again.
func (t *task) retries() bool {
	select {
	case <-t.over:
		r, ok := t.cmd.(*Run)
		return ok && r.Retry != nil
	default:
		return false
	}
}

// run returns the live run with that id, its last attempt.
func (g *registry) run(id string) (found *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for t := range g.live {
		if _, ok := t.cmd.(*Run); ok && t.id == id && (found == nil || t.attempt > found.attempt) {
			found = t
		}
	}
	return found
}

func (g *registry) nameOf(t *task) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return t.name
}

// cancel remembers that a job is not to run, should its message come.
func (g *registry) cancel(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	for id, at := range g.cancels {
		if now.Sub(at) >= recent {
			delete(g.cancels, id)
		}
	}
	g.cancels[id] = now
}

func (g *registry) cancelled(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, ok := g.cancels[id]
	return ok && time.Since(at) < recent
}
