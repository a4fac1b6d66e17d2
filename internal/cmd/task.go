package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// maxRetries bounds how often an engine error that may pass is tried again.
const maxRetries = 5

// errNotBegun says that nothing was done, and that the message can go back to its queue.
var errNotBegun = errors.New("not begun")

// A task is a job at work: its message decoded, its deliveries, its state. One goroutine works on
// it; the registry's mutex guards what it writes to.
type task struct {
	identity
	pool    *Pool
	ctx     context.Context
	cmd     Command
	invalid error // why the message was not decoded; cmd is nil then
	log     *slog.Logger

	name     string        // the container's, as asked for or derived; empty where unknown
	seq      int64         // counts the jobs of the pool, in the queue's order
	order    *order        // the command's own place
	before   *order        // that of the last command on the same container; its effect is waited for
	recalled chan struct{} // closed when the message was given back
	place    chan struct{} // the slot asked for
	over     chan struct{} // closed when the result is known, or there will be none

	again     atomic.Bool            // a delivery was marked as redelivered
	endAsked  atomic.Bool            // a message asked for the end of the container
	stopped   atomic.Bool            // a message's stop of the container succeeded
	container atomic.Pointer[string] // the container's id, once known
	begun     bool                   // the engine may have done something for us

	afterwards func() // what remains to be done when the job is settled; may be nil

	remaining []Job         // deliveries not yet answered; guarded by the registry
	answering bool          // deliveries were taken to be answered; guarded by the registry
	arrived   chan struct{} // signals that a delivery has joined
}

// decode reads the message. A message that makes us panic must not do so again and again.
func (t *task) decode(body []byte) {
	defer func() {
		if v := recover(); v != nil {
			t.log.Error("panic; please report this", "panic", v, "trace", string(debug.Stack()))
			t.cmd, t.invalid = nil, fmt.Errorf("the message could not be decoded: panic: %v", v)
		}
	}()
	t.cmd, t.invalid = Decode(body, t.pool.MaxMessage)
	if t.invalid != nil {
		return
	}
	t.name = t.cmd.Target()
	if r, ok := t.cmd.(*Run); ok {
		t.name = t.containerName(r.Name)
	}
}

// join adds a delivery. The registry's mutex is held.
func (t *task) join(j Job) {
	t.remaining = append(t.remaining, j)
	if j.Redelivered {
		t.again.Store(true)
	}
	select {
	case t.arrived <- struct{}{}:
	default:
	}
}

// orphaned tells whether all deliveries of the task are lost. The registry's mutex is held.
func (t *task) orphaned() bool {
	if t.answering {
		return false
	}
	for _, j := range t.remaining {
		if j.Lost == nil || !j.Lost() {
			return false
		}
	}
	return true
}

// has tells whether the task has made or found its container, and ref names it.
func (t *task) has(ref string) bool {
	id := t.container.Load()
	return id != nil && (ref == t.name || strings.HasPrefix(*id, ref))
}

// work carries the task out and settles it. It returns false where the task was left unfinished.
func (t *task) work() bool {
	defer t.tookEffect()
	result, cleanup, err := t.run()
	switch {
	case errors.Is(err, errNotBegun):
		return true // recall has given the message back
	case err != nil:
		t.log.Info("job left as it is", "container", t.name)
		return false
	}
	t.tookEffect()
	t.report(result)
	ok := t.settle(result, cleanup)
	if ok && t.afterwards != nil {
		t.afterwards()
	}
	return ok
}

// run waits for the task's turn and does it. An error means that there is no result: errNotBegun,
// or the context's.
func (t *task) run() (result Result, cleanup func() error, err error) {
	defer close(t.over)
	defer func() {
		if t.place != nil {
			t.pool.slots.release(t.place)
		}
	}()
	if t.invalid != nil {
		r := t.result()
		r.Status, r.Reason, r.Error = Refused, ReasonInvalid, t.invalid.Error()
		return r, nil, nil
	}
	if err := t.turn(); err != nil {
		return Result{}, nil, err
	}
	defer func() {
		if v := recover(); v != nil {
			t.log.Error("panic; please report this", "panic", v, "trace", string(debug.Stack()))
			result, cleanup, err = t.result(), nil, nil
			result.Status, result.Reason, result.Error = Errored, ReasonInternal, fmt.Sprintf("panic: %v", v)
		}
	}()
	return t.cmd.do(t)
}

// turn waits for the command before on the same container, for a slot where the command is a run,
// and for the engine.
func (t *task) turn() error {
	if t.before != nil {
		if err := t.await(t.before.effective); err != nil {
			return err
		}
	}
	if t.pool.away() { // since before we came, so that no change will tell
		t.pool.recall()
	}
	if _, ok := t.cmd.(*Run); ok {
		if t.place == nil {
			t.place = t.pool.slots.request()
		}
		if err := t.await(t.place); err != nil {
			return err
		}
	}
	if !t.pool.begin(t) {
		return errNotBegun
	}
	return nil
}

// await waits for ready while the task has not begun.
func (t *task) await(ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-t.recalled:
		return errNotBegun
	case <-t.ctx.Done():
		return context.Cause(t.ctx)
	}
}

func (t *task) tookEffect() {
	t.order.once.Do(func() {
		t.pool.jobs.effective(t)
		close(t.order.effective)
	})
}

// try calls f until the engine has given an answer that is final. While the engine is away it
// waits; an error that may pass is tried again a few times.
func (t *task) try(f func() error) error {
	for {
		err := t.retry(f)
		if !errors.Is(err, dockerapi.ErrUnreachable) {
			t.begun = true
			return err
		}
		t.pool.engine.lost(err)
		if !t.begun && neverSent(err) {
			if t.unbegin() {
				return errNotBegun
			}
			continue
		}
		t.begun = true
		t.log.Debug("engine call failed; waiting for the engine", "error", err)
		if err := t.pool.engine.wait(t.ctx); err != nil {
			return err
		}
	}
}

// retry calls f again while its error is one that may pass, a few times.
func (t *task) retry(f func() error) error {
	for n := 0; ; n++ {
		err := f()
		if !errors.Is(err, dockerapi.ErrTemporary) || n == maxRetries {
			return err
		}
		t.log.Warn("engine error that may pass; trying again", "error", err)
		if err := pause(t.ctx, backoff(n, t.pool.retryFirst, time.Minute)); err != nil {
			return err
		}
	}
}

// inspect looks at the container ref.
func (t *task) inspect(ref string) (c dockerapi.Container, err error) {
	err = t.try(func() (err error) {
		c, err = t.pool.Docker.InspectContainer(t.ctx, ref)
		return err
	})
	return c, err
}

// gone waits until the container ref is no more.
func (t *task) gone(ref string) error {
	for n := 0; ; n++ {
		_, err := t.pool.Docker.InspectContainer(t.ctx, ref)
		if errors.Is(err, dockerapi.ErrNoSuchContainer) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := pause(t.ctx, backoff(n, 50*time.Millisecond, 2*time.Second)); err != nil {
			return err
		}
	}
}

// containerResult is the result of a command on the container ref.
func (t *task) containerResult(ref string, err error) (Result, func() error, error) {
	if err != nil && final(err) {
		return Result{}, nil, err
	}
	r := t.result()
	r.ContainerName = ref
	if err != nil {
		r.fail(err)
	} else {
		r.Status = Succeeded
	}
	return r, nil, nil
}

// result is a result of this task with the fields that are known of any.
func (t *task) result() Result {
	r := Result{Job: t.id, Host: t.pool.Host, Queue: t.queue, ContainerName: t.name}
	if t.cmd != nil {
		r.Command = t.cmd.Verb()
	}
	if id := t.container.Load(); id != nil {
		r.ContainerID = *id
	}
	return r
}

// report shows the result, and logs it.
func (t *task) report(r Result) {
	t.pool.Reporter.Result(r)
	args := []any{"status", r.Status}
	if r.Command != "" {
		args = []any{"command", r.Command, "status", r.Status}
	}
	if r.Reason != "" {
		args = append(args, "reason", r.Reason)
	}
	if r.ContainerName != "" {
		args = append(args, "container", r.ContainerName)
	}
	if r.ExitCode != nil {
		args = append(args, "exit", *r.ExitCode)
	}
	if r.Error != "" {
		args = append(args, "error", r.Error)
	}
	if r.Incomplete {
		args = append(args, "incomplete", true)
	}
	t.log.Info("job done", args...)
}

// giveBack returns the message to its queue. Only then may what stands behind it go back too.
func (t *task) giveBack() {
	t.log.Debug("job not begun; given back")
	for {
		for _, j := range t.pool.jobs.take(t) {
			if err := j.Settle(t.ctx, Requeue, t.result()); err != nil {
				t.log.Debug("message not given back", "error", err)
			}
		}
		if t.pool.jobs.remove(t, false) {
			break
		}
	}
	t.order.givenBack.Store(true)
	t.tookEffect()
}

// settle answers the deliveries of the task with the verdict on r, then cleans up. Which goes first
// is decided by how a redelivery would be known: a message with an id by its container, which
// must therefore outlive the message; one without only by the container's absence.
// It returns false where the process stops before all is done.
func (t *task) settle(r Result, cleanup func() error) bool {
	v := verdict(r)
	if cleanup != nil && !t.stable {
		t.clean(cleanup)
		cleanup = nil
	}
	for {
		answered, ok := t.answer(v, r)
		if !ok {
			return false
		}
		if cleanup != nil {
			if answered.Fence != nil {
				if err := answered.Fence(t.ctx); errors.Is(err, ErrDeliveryLost) {
					t.log.Debug("connection ended behind the ack; waiting for the message to come again")
					continue
				} else if err != nil {
					return false
				}
			}
			t.clean(cleanup)
			cleanup = nil
		}
		// Only what was acked is remembered: a dead letter that a person sends again is to run.
		if t.pool.jobs.remove(t, v == Ack) {
			return true
		}
	}
}

// answer settles all deliveries that the task has, and waits for one where all are lost. It returns
// the last one that was settled.
func (t *task) answer(v Verdict, r Result) (answered Job, ok bool) {
	for {
		found := false
		for _, j := range t.pool.jobs.take(t) {
			switch err := j.Settle(t.ctx, v, r); {
			case err == nil:
				answered, found = j, true
			case errors.Is(err, ErrDeliveryLost):
				t.log.Debug("delivery lost before it was settled; waiting for the message to come again")
			default:
				return Job{}, false
			}
		}
		if found {
			return answered, true
		}
		t.pool.jobs.unanswered(t)
		if !t.awaitDelivery() {
			return Job{}, false
		}
	}
}

// awaitDelivery waits for the message of a finished job to come again. It gives up where no more
// messages are taken, or after an hour: the message may have gone to another host, or expired.
func (t *task) awaitDelivery() bool {
	timer := time.NewTimer(recent)
	defer timer.Stop()
	select {
	case <-t.arrived:
		return true
	case <-t.pool.stopping:
	case <-t.ctx.Done():
	case <-timer.C:
		t.log.Warn("message did not come again within an hour of its delivery being lost; its job is done")
	}
	return false
}

func (t *task) clean(cleanup func() error) {
	if err := t.try(cleanup); err != nil && !errors.Is(err, context.Canceled) {
		t.log.Error("container not removed; remove it by hand", "container", t.name, "error", err)
	}
}
