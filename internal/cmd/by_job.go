package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// errCancelled is the end of a job that a message named before it had begun.
var errCancelled = errors.New("cancelled: a message asked for its end before it had started")

// ofJob finds the container of the job that a command names. A job that has not begun is cancelled by one that
// asks for its end: then there is nothing more to do.
func (t *task) ofJob(r *message.Ref) (cancelled bool, err error) {
	for {
		job := t.pool.jobs.byID(r.Job)
		if job == nil {
			break
		}
		if t.traits.Ends && t.pool.jobs.cancelsWaiting(job) {
			t.log.Info("job cancelled before it had started", "cancelled", r.Job)
			return true, nil
		}
		if !job.traits.Runs {
			return false, fmt.Errorf("%w: the job %s is an exec, which has no container of its own, and has begun", dockerapi.ErrConflict, flagval.Quote(r.Job))
		}
		if job.retries() {
			t.cancelFrom(r.Job, job.attempt+1)
		}
		// A container that is about to be started would be started behind its stop.
		if id := t.pool.jobs.containerOf(job); id != "" && job.order.tookEffect() {
			r.Container = id
			t.pool.jobs.name(t, t.pool.jobs.nameOf(job))
			return false, nil
		}
		if t.traits.Lasts && !t.control {
			break // it holds a place, which the job may wait for
		}
		if err := t.awaitStart(job); err != nil {
			return false, err
		}
		if t.traits.Ends && t.pool.jobs.containerOf(job) == "" && job.wasCancelled() {
			return true, nil
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
		err := fmt.Errorf("%w of the job %s, which is not at work here", dockerapi.ErrNoSuchContainer, flagval.Quote(r.Job))
		if !t.pool.jobs.knew(t.queue, r.Job) && t.cancelFrom(r.Job, 1) {
			if t.pool.jobs.byID(r.Job) != nil { // its message has come meanwhile
				return t.ofJob(r)
			}
			err = fmt.Errorf("%w; if its message comes within the next %v, it is refused", err, recent)
		}
		return false, err
	}
	r.Container = list[i].ID
	t.pool.jobs.name(t, list[i].Name)
	switch n, err := strconv.Atoi(list[i].Labels[LabelAttempt]); {
	case list[i].Status == "created" && !t.pool.jobs.knew(t.queue, r.Job):
		// By a process that died then: its message is to come again, and would have it started. One that was
		// settled here has made it for others to start.
		return t.cancelFrom(r.Job, max(1, n)), nil
	case err == nil:
		t.cancelFrom(r.Job, n+1)
	}
	return false, nil
}

// awaitStart waits until a job has started, or will not. It is about to create its container, or to be given back.
// One that has been cancelled meanwhile ends as soon as it can.
func (t *task) awaitStart(job *task) error {
	// It may have ended while another command, before it, is at work.
	gone := t.pool.jobs.reached(job, phaseGone)
	if _, err := awaitEither(t, job.order.effective, gone); err != nil || t.pool.jobs.containerOf(job) != "" {
		return err
	}
	return t.await(gone)
}

// namesJob tells whether the command names a job, and not a container.
func (t *task) namesJob() bool {
	ref := message.RefOf(t.cmd)
	return ref != nil && ref.Job != ""
}

// awaitJob waits until the job that the command names has started, where it is here. One that asks for the job's
// end has nothing to wait for.
func (t *task) awaitJob() error {
	if !t.namesJob() || t.traits.Ends {
		return nil
	}
	for {
		job := t.pool.jobs.byID(message.RefOf(t.cmd).Job)
		if job == nil || t.pool.jobs.containerOf(job) != "" && job.order.tookEffect() {
			return nil
		}
		if !job.traits.Runs {
			return nil
		}
		if t.control { // else the job's own message is before it, and has a place in time
			if err := t.hold(); err != nil {
				return err
			}
		}
		if err := t.awaitStart(job); err != nil {
			return err
		}
	}
}

// cancelFrom has the job's messages refused from that attempt on, where the command asks for the job's end.
func (t *task) cancelFrom(job string, attempt int) bool {
	if !t.traits.Stops {
		return false // what is removed is what has been
	}
	t.pool.jobs.cancel(job, attempt)
	return true
}

// cancelsWaiting ends the wait of a task that has not begun, and returns true; or has one that has begun end before it
// creates its container, where it has not come so far.
func (g *registry) cancelsWaiting(t *task) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	waits := g.move(t, phaseCancelled)
	if (waits || t.order.begun) && !t.wasCancelled() {
		close(t.cancelled)
	}
	return waits
}

// cancellable returns a context that ends with the task's, and when a message cancels the job.
func (t *task) cancellable() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.ctx)
	go func() {
		select {
		case <-t.cancelled:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func (t *task) wasCancelled() bool { return isClosed(t.cancelled) }

// retries tells whether a run is over, and may be tried again.
func (t *task) retries() bool {
	p := t.pool.jobs.at(t)
	return t.traits.Retry != nil && p >= phaseEnded && p != phaseRecalled
}

// byID returns the live run or exec with that id, the last attempt of a run.
func (g *registry) byID(id string) (found *task) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byJob[id] {
		if found == nil || t.attempt > found.attempt {
			found = t
		}
	}
	return found
}

// cancel remembers that a job is not to run from that attempt on, should its message come.
func (g *registry) cancel(id string, attempt int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cancels.put(keyOf(id), attempt, 1)
}

// cancelled tells whether a message that has come is not to run, once. g.mu is held.
func (g *registry) cancelled(i identity) bool {
	from, ok := g.cancels.get(keyOf(i.id))
	if !ok || i.attempt < from {
		return false
	}
	g.cancels.drop(keyOf(i.id))
	return true
}

// knew tells whether a job with that id was settled here lately.
func (g *registry) knew(queue, id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.settled.get(keyOf(queue + "\x00" + id))
	return ok
}
