package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// ofJob finds the container of the job that a command names, and sets it in r. A command that asks for the end of a job
// that has not begun cancels the job: then there is nothing more to do.
func (t *task) ofJob(r *message.Ref) (cancelled bool, err error) {
	if err := t.pool.hosts.Seek(&t.Task, t.JobKey(r.Job), false); err != nil {
		return false, err
	}
	for {
		job := t.pool.jobs.ByID(r.Job)
		if job == nil {
			break
		}
		if t.Traits.Ends && job.Traits.Runs && job.WasRedelivered() && job.At() < live.Begun {
			if c, err := t.ContainerFor(r.Job); err != nil {
				return false, err
			} else if c != nil && c.Status != "created" {
				break // an earlier process has started it
			}
		}
		if t.Traits.Ends && job.At() < live.Begun && t.pool.Claims != nil { // its message may have come back from another host
			if err := t.pool.hosts.Seek(&t.Task, t.JobKey(r.Job), false); err != nil {
				return false, err
			}
		}
		if t.Traits.Ends && job.CancelWaiting() {
			t.Log.Info("job cancelled before it had started", "cancelled", r.Job)
			return true, nil
		}
		if !job.Traits.Runs {
			return false, fmt.Errorf("%w: the job %s is an exec that is already running: stop the container that it runs in", dockerapi.ErrConflict, flagval.Quote(r.Job))
		}
		if job.Retries() {
			if _, err := t.cancelFrom(r.Job, job.Attempt+1); err != nil {
				return false, err
			}
		}
		// Only after the start: otherwise the container would be started after its stop.
		if id := job.ContainerID(); id != "" && job.Order.TookEffect() {
			r.Container = id
			t.SharesName(job)
			return false, nil
		}
		if t.Traits.Lasts && !t.Control {
			break // it has a slot, which the job may be waiting for
		}
		if err := t.awaitStart(job); err != nil {
			return false, err
		}
		if t.Traits.Ends && job.ContainerID() == "" && job.WasCancelled() && job.WhyAway() == nil {
			return true, nil
		}
	}
	c, err := t.ContainerFor(r.Job)
	if err != nil {
		return false, err
	}
	if c == nil {
		cancelled := false
		if !t.pool.jobs.Knew(t.Queue, r.Job) {
			if cancelled, err = t.cancelFrom(r.Job, 1); err != nil {
				return false, err
			}
		}
		err := fmt.Errorf("%w of the job %s, which does not run %s", dockerapi.ErrNoSuchContainer, flagval.Quote(r.Job), t.pool.where())
		if cancelled {
			if t.pool.jobs.ByID(r.Job) != nil { // its message has come meanwhile
				return t.ofJob(r)
			}
			err = fmt.Errorf("%w; if its message comes within the next %v, it is refused", err, recent.For)
		}
		return false, err
	}
	r.Container = c.ID
	t.SetName(c.Name)
	switch n, err := strconv.Atoi(c.Labels[identity.LabelAttempt]); {
	case c.Status == "created" && !t.pool.jobs.Knew(t.Queue, r.Job):
		// Its process died before the start: the redelivered message would start it. But if the job was settled here,
		// it is a create, and others are to start the container.
		return t.cancelFrom(r.Job, max(1, n))
	case err == nil:
		_, err := t.cancelFrom(r.Job, n+1)
		return false, err
	}
	return false, nil
}

// where says in which places a container was looked for.
func (p *Pool) where() string {
	if p.Claims != nil {
		return "on any host"
	}
	return "here"
}

// awaitStart waits until a job has started, or never will. The job is about to create its container, or to be requeued.
// A job that was cancelled meanwhile ends as soon as it can.
func (t *task) awaitStart(job *live.Task) error {
	// If an earlier command is at work on the container, effective may stay open after the job's end.
	gone := job.Reached(live.Gone)
	if _, err := live.AwaitEither(&t.Task, job.Order.Effective, gone); err != nil || job.ContainerID() != "" {
		return err
	}
	return t.Await(gone)
}

// namesJob reports whether the command names a job, not a container.
func (t *task) namesJob() bool {
	ref := message.RefOf(t.Cmd)
	return ref != nil && ref.Job != ""
}

// awaitJob waits until the job that the command names has started, if this process has the job. A command that asks for
// the job's end does not wait.
func (t *task) awaitJob() error {
	if !t.namesJob() || t.Traits.Ends {
		return nil
	}
	for {
		job := t.pool.jobs.ByID(message.RefOf(t.Cmd).Job)
		if job == nil || job.ContainerID() != "" && job.Order.TookEffect() {
			return nil
		}
		if !job.Traits.Runs {
			return nil
		}
		if t.Control || t.From != nil && t.overtakes() { // else the job's message came by the same queue, and gets its slot in time
			if err := t.hold(); err != nil {
				return err
			}
		}
		if err := t.awaitStart(job); err != nil {
			return err
		}
	}
}

// cancelFrom has the job's messages refused from that attempt on, if the command stops. It reports whether it did. If several
// hosts share the queue, the messages that come to another one are forwarded here.
func (t *task) cancelFrom(job string, attempt int) (bool, error) {
	if !t.Traits.Stops {
		return false, nil // a remove is for what exists, not for later attempts
	}
	if t.pool.Claims != nil {
		if other, err := t.pool.hosts.ClaimLasting(&t.Task, job); err != nil {
			return false, err
		} else if other != nil { // its message has come to that host meanwhile
			return false, t.pool.hosts.Forward(&t.Task, *other)
		}
	}
	t.pool.jobs.Cancel(job, attempt)
	return true, nil
}

// resolve asks the engine which container a command is for, and gives the command the full id. Only the engine can look
// up a name or the beginning of an id, and its answer may change. over: there is nothing more to do.
func (t *task) resolve(r *message.Ref) (over bool, err error) {
	var on dockerapi.Container
	if r.Job != "" {
		if over, err = t.ofJob(r); over {
			return true, err
		}
	}
	if err == nil {
		on, err = t.Inspect(r.Container)
	}
	if r.Job == "" {
		err = t.pool.hosts.MayBeElsewhere(&t.Task, on, r.Container, err)
	}
	switch {
	case err == nil:
		t.On = &on
		if err = t.mayReach(on, cmp.Or(r.Job, r.Container)); err == nil {
			r.Container = on.ID
		}
	case errors.Is(err, dockerapi.ErrNoSuchContainer) && t.WasRedelivered() && t.wasDone():
		return true, nil
	}
	return false, err
}

// wasDone reports whether a redelivered command that does not find its container was carried out by an earlier delivery.
func (t *task) wasDone() bool {
	if t.Traits.NewName != "" {
		c, err := t.pool.Docker.InspectContainer(t.Ctx, t.Traits.NewName)
		return err == nil && t.mayReach(c, c.Name) == nil
	}
	return t.Traits.Removes
}

// mayReach returns an error if the policy denies commands on the container. A container that no message of this queue has
// made, or no message of this user if the policy says so, may have access to the host, or do another's work. The error names
// the container by ref, as the message does: the publisher may not know its name.
func (t *task) mayReach(c dockerapi.Container, ref string) error {
	if t.Made(c.Labels) && (!t.Rules.OwnUserOnly() || c.Labels[identity.LabelUser] == t.User) {
		return nil
	}
	return t.Rules.AllowsContainer(c.Labels, fmt.Errorf("%s of the container %s", t.Traits.Verb, flagval.Quote(ref)))
}
