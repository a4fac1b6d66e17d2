package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// errNotBegun says that nothing was done, and that the message can go back to its queue.
var errNotBegun = errors.New("not begun")

// A task is a job at work: its message decoded, its deliveries, its state. One goroutine works on
// it; the registry's mutex guards what it writes to.
type task struct {
	identity
	pool    *Pool
	ctx     context.Context
	cmd     message.Command
	traits  message.Traits // of cmd
	invalid error          // why the message was not decoded; cmd is nil then
	log     *slog.Logger

	name     string              // the container's, as asked for or derived; empty where unknown; written with the registry's mutex
	on       dockerapi.Container // what a command on a container is for, see resolve
	seq      int64               // counts the jobs of the pool, in the queue's order
	order    *order              // the command's own place
	control  bool                // it came by the control queue
	recalled chan struct{}       // closed when the message was given back

	cancelled chan struct{} // closed when a message cancelled the job
	place     chan struct{} // the slot asked for
	held      *holders      // where the task is counted, see hold
	over      chan struct{} // closed when the result is known, or there will be none

	earlier    <-chan struct{} // a task on the same message, whose end is waited for; may be nil
	ended      chan struct{}   // closed when the task is no more
	superseded chan struct{}   // closed when another task has taken the message over

	again     atomic.Bool            // a delivery was marked as redelivered
	endAsked  atomic.Int32           // how many messages asked for the end of the container, and were not refused
	hasEnded  atomic.Bool            // the container has ended: what asks for that now has not brought it about
	stopped   atomic.Bool            // a message's stop of the container succeeded
	container atomic.Pointer[string] // the container's id, once known
	within    atomic.Pointer[string] // the id of the container that an exec has got into
	leaves    atomic.Bool            // the container has ended, and is to be removed
	lingering atomic.Bool            // settled, and the container is to go soon
	begun     bool                   // the engine may have done something for us
	warnings  []string               // what the engine said when it created the container
	asked     time.Time              // when the engine was last asked to create the container
	stored    bool                   // the broker has the dead letter, or the next attempt
	recorded  bool                   // the results queue has the result
	told      map[string]bool        // who has it, by Job.ReplyTo
	live      *output.Live           // sends output to whoever asked for the result; may be nil

	afterwards func() // what remains to be done when the job is settled; may be nil

	given      []Job         // the last delivery for each ReplyTo; guarded by the registry
	remaining  []Job         // deliveries not yet answered; guarded by the registry
	taken      []Job         // deliveries that are about to be answered; guarded by the registry
	answering  bool          // an answer may have been written; guarded by the registry
	answered   bool          // and was before; guarded by the registry
	kept       bool          // the dead-letter queue may have the message; guarded by the registry
	remembered bool          // as a settled one; guarded by the registry
	arrived    chan struct{} // signals that a delivery has joined
}

// decoded is what a message says by itself, whatever came before it.
type decoded struct {
	identity identity
	cmd      message.Command
	invalid  error
}

// decode reads a message. Not more are decoded at a time than there are processors: more would take memory only.
// A message that makes us panic must not do so again and again.
func (p *Pool) decode(j Job) (d decoded) {
	places := p.decoding
	if j.Control {
		places = p.controlDecoding
	}
	places <- struct{}{}
	defer func() { <-places }()
	d.identity = identify(j)
	if d.invalid = j.Invalid; d.invalid != nil {
		return d
	}
	defer func() {
		if v := recover(); v != nil {
			p.Log.Error("panic; please report this", "job", d.identity.id, "panic", v, "trace", string(debug.Stack()))
			d.cmd, d.invalid = nil, fmt.Errorf("the message could not be decoded: panic: %v", v)
		}
	}()
	d.cmd, d.invalid = policy.Check(j.Body, p.MaxMessage, j.ReplyTo != "", p.Policy)
	if d.invalid == nil && d.identity.attempt > d.cmd.Traits().Attempts() { // which none of ours is
		j.Attempt = 1
		d.identity = identify(j)
	}
	return d
}

// take makes a decoded message the task's, in the queue's order.
func (t *task) take(j Job, d decoded) {
	t.cmd, t.invalid = d.cmd, d.invalid
	if t.cmd != nil {
		t.traits = t.cmd.Traits()
	}
	if t.invalid != nil {
		return
	}
	if j.Control && !t.traits.Control {
		t.invalid = fmt.Errorf("%s is not taken from the control queue; send it to the queue %s", t.traits.Verb, flagval.Quote(j.Queue))
		return
	}
	if j.Stream != nil && t.traits.Streams {
		t.live = output.NewLive(t.ctx, j.Stream())
	}
	if t.name = t.cmd.Target(); t.traits.Makes {
		t.name = t.containerName(t.name)
	}
}

// join adds a delivery. The registry's mutex is held.
func (t *task) join(j Job) {
	t.remaining = append(t.remaining, j)
	t.give(j)
	if j.Redelivered {
		t.again.Store(true)
	}
	select {
	case t.arrived <- struct{}{}:
	default:
	}
}

// give records a delivery, for the case that it is lost and does not come again. The registry's mutex is held,
// or nobody knows the task yet.
func (t *task) give(j Job) {
	t.given = slices.DeleteFunc(t.given, func(o Job) bool { return o.ReplyTo == j.ReplyTo })
	t.given = append(t.given, j)
}

// orphaned tells whether all deliveries of the task are lost. The registry's mutex is held.
func (t *task) orphaned() bool {
	if t.answering {
		return false
	}
	alive := func(j Job) bool { return !j.lost() }
	return !slices.ContainsFunc(t.remaining, alive) && !slices.ContainsFunc(t.taken, alive)
}

// work carries the task out and settles it. It returns false where the task was left unfinished.
func (t *task) work() bool {
	defer close(t.ended)
	defer t.live.Close()
	defer t.tookEffect()
	result, cleanup, err := t.run()
	switch {
	case errors.Is(err, errNotBegun):
		return true // recall has given the message back
	case err != nil:
		t.log.Info("job left as it is", "container", t.name)
		return false
	}
	t.leaves.Store(cleanup != nil)
	// What comes next on the container may begin. Behind a stop or remove that is answered first: if that
	// came again, to another process, it would hit what the next command makes of the name.
	if t.traits.Lasts || verdict(result) != Ack {
		t.tookEffect()
	}
	if err := t.report(result); err != nil {
		t.log.Info("job left as it is: nobody has its result", "container", t.name, "error", err)
		return false
	}
	t.ctx = t.pool.settling
	ok := t.settle(result, cleanup)
	if ok && t.afterwards != nil {
		t.afterwards()
	}
	return ok
}

// run waits for the task's turn and does it. An error means that there is no result: errNotBegun,
// or the context's.
func (t *task) run() (result event.Result, cleanup func() error, err error) {
	defer close(t.over)
	defer func() {
		if t.place != nil {
			t.pool.slots.release(t.place)
		}
	}()
	if t.invalid != nil {
		r := t.result()
		setRefused(&r, t.invalid)
		return r, nil, nil
	}
	defer func() {
		if errors.Is(err, errCancelled) {
			result, cleanup, err = t.result(), nil, nil
			setRefused(&result, errCancelled)
		}
	}()
	defer t.unhold()
	if err := t.turn(); errors.Is(err, dockerapi.ErrConflict) {
		if !t.pool.leavesPending(t) {
			return event.Result{}, nil, t.notBegun()
		}
		return t.containerResult("", err)
	} else if err != nil {
		return event.Result{}, nil, err
	}
	defer func() {
		if v := recover(); v != nil {
			t.log.Error("panic; please report this", "panic", v, "trace", string(debug.Stack()))
			result, cleanup, err = t.result(), nil, nil
			result.Status, result.Reason, result.Error = event.Errored, event.ReasonInternal, fmt.Sprintf("panic: %v", v)
		}
	}()
	if ref := message.RefOf(t.cmd); ref != nil {
		if over, err := t.resolve(ref); err != nil || over {
			return t.containerResult("", err)
		}
		if t.holds() { // which a stop does not know before
			if err := t.hold(); err != nil {
				return t.containerResult("", err)
			}
			t.order.holds.Store(true)
		}
	}
	return t.carryOut()
}

// turn waits for the command before on the same container, for a slot where the command is a run,
// and for the engine.
func (t *task) turn() error {
	if t.holds() {
		if err := t.hold(); err != nil {
			return err
		}
	}
	if t.earlier != nil {
		if err := t.await(t.earlier); err != nil {
			return err
		}
	}
	if b := t.order.before.Load(); b != nil {
		if err := t.awaitBefore(b); err != nil {
			return err
		}
	}
	if err := t.awaitJob(); err != nil {
		return err
	}
	if !t.holds() { // any longer
		t.unhold()
	}
	if t.pool.away() { // since before we came, so that no change will tell
		t.pool.recall()
	}
	if t.traits.Lasts && !t.control {
		if t.place == nil {
			t.place = t.pool.slots.request()
		}
		if err := t.await(t.place); err != nil {
			return err
		}
	}
	if !t.pool.begin(t) {
		return t.notBegun()
	}
	return nil
}

// await waits for ready while the task has not begun.
func (t *task) await(ready <-chan struct{}) error {
	_, err := awaitEither(t, ready, (<-chan struct{})(nil))
	return err
}

// awaitEither is await for one of two, and tells whether it was other.
func awaitEither[T any](t *task, ready <-chan struct{}, other <-chan T) (isOther bool, err error) {
	select {
	case <-ready:
		return false, nil
	case <-other:
		return true, nil
	case <-t.recalled:
		return false, errNotBegun
	case <-t.cancelled:
		return false, errCancelled
	case <-t.ctx.Done():
		return false, context.Cause(t.ctx)
	}
}

func (t *task) tookEffect() {
	t.order.once.Do(func() {
		t.pool.jobs.effective(t.order)
	})
}

// containerResult is the result of a command on the container ref.
func (t *task) containerResult(ref string, err error) (event.Result, func() error, error) {
	if err != nil && final(err) {
		return event.Result{}, nil, err
	}
	r := t.result()
	r.ContainerName = cmp.Or(t.name, ref)
	setDone(&r, err)
	return r, nil, nil
}

// output makes what takes the output of a command on the container ref.
func (t *task) output(ref string) *output.Output {
	piece := func(stream string, offset int64, data []byte) event.Output {
		return event.Output{Job: t.id, ContainerName: cmp.Or(t.name, ref), Attempt: t.shownAttempt(), Stream: stream, Offset: offset, Data: data}
	}
	emit := func(stream string, offset int64, data []byte) error {
		return t.pool.Reporter.Output(piece(stream, offset, data))
	}
	var raw func(stream string, offset int64, data []byte)
	if t.live != nil {
		raw = func(stream string, offset int64, data []byte) { t.live.Write(piece(stream, offset, data)) }
	}
	return output.NewOutput(emit, raw, t.pool.Capture, &t.pool.lineBudget)
}

// shownAttempt is the number of the attempt where the job may have several, else 0.
func (t *task) shownAttempt() int {
	if t.traits.Retry != nil {
		return t.attempt
	}
	return 0
}

// result is a result of this task with the fields that are known of any.
func (t *task) result() event.Result {
	r := event.Result{
		Job: t.id, Command: t.traits.Verb, Host: t.pool.Host, Queue: t.queue, Attempt: t.shownAttempt(), ContainerName: t.name, Warnings: t.warnings,
	}
	if id := t.container.Load(); id != nil {
		r.ContainerID = *id
	}
	return r
}

// report shows the result, and logs it.
func (t *task) report(r event.Result) error {
	if err := t.pool.Reporter.Result(r); err != nil {
		return err
	}
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
	return nil
}

// giveBack returns the message to its queue. Only then may what stands behind it go back too.
func (t *task) giveBack() {
	t.log.Debug("job not begun; given back")
	for {
		for _, j := range t.pool.jobs.take(t) {
			t.pool.jobs.answers(t)
			if err := j.Settle(t.ctx, Requeue, t.result()); err != nil {
				t.log.Debug("message not given back", "error", err)
			}
		}
		if t.pool.jobs.remove(t) {
			break
		}
	}
	t.order.givenBack.Store(true)
	t.tookEffect()
}
