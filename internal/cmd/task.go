package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/joblog"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// errNotBegun says that the engine was told nothing, and that recall has requeued the message.
var errNotBegun = errors.New("not begun")

// A task is a live job: its decoded message, its deliveries, its phase. One goroutine works on it. The comment of each
// field that others read or write names the field's guard.
type task struct {
	identity.Identity
	decoded
	turn
	containerOf
	deliveries
	claims
	outbox
	pool *Pool
	in   *registry // which knows the task; set by add
	ctx  context.Context
	log  *slog.Logger

	came      time.Time   // when the message came
	published time.Time   // by the message's timestamp; zero: not known
	waits     int         // how often the message was put back, see placed
	waitsFrom time.Time   // since when it waits for a host
	phase     phase       // changed by registry.move only; guarded by the registry
	began     time.Time   // when the engine was asked first, and from phaseStarted on when the container started; guarded by the registry
	awaited   []phaseWait // guarded by the registry

	name string              // the container's, asked for or derived; "": unknown; written with the registry's mutex
	on   dockerapi.Container // the container that the command is for, see resolve

	again      atomic.Bool   // a delivery has the redelivered flag
	cancelled  chan struct{} // closed when a message asked for the job's end; heeded until its container is created
	superseded chan struct{} // closed when a later task has taken over the message

	creation creation
	cleanup  func() error // removes the job's container; may be nil; not written from phaseEnded on, see leaves
	tidied   bool         // cleanup is done
	watch    func()       // called after the job is settled and forgotten; may be nil
}

// decoded is a decoded message. It does not change after registry.add.
type decoded struct {
	cmd     message.Command
	traits  message.Traits // of cmd
	invalid error          // why the message is refused; cmd is nil if it was not decoded
	rules   *policy.Rules  // what its sender's messages may ask for
	denied  error          // why no container may be made; one that exists is followed
}

// identify returns the identity of a message.
func (p *Pool) identify(j intake.Job) identity.Identity {
	if p.Claims == nil {
		return identity.Of(j)
	}
	return identity.Of(j).On(p.Claims.Host())
}

// decode decodes a message. At most one per processor, and one of the control queue, is decoded at a time: more
// would only use memory. A panic becomes the message's error: otherwise each redelivery would panic again.
// It takes the job's reply away if the policy denies that its result goes there.
func (p *Pool) decode(j *intake.Job) (i identity.Identity, d decoded) {
	places := p.decoding
	if j.Control {
		places = p.controlDecoding
	}
	places <- struct{}{}
	defer func() { <-places }()
	i = p.identify(*j)
	var rules *policy.Policy
	if p.Policy != nil {
		rules = p.Policy()
	}
	d.rules = rules.For(j.User)
	if d.invalid = j.Invalid; d.invalid != nil {
		return i, d
	}
	replyTo, _, _ := strings.Cut(j.ReplyTo, "\x00")
	if j.ReplyTo != "" {
		if d.invalid = d.rules.AllowsReply(replyTo); d.invalid != nil {
			j.ReplyTo, j.Reply, j.Stream = "", nil, nil
			return i, d
		}
	}
	defer func() {
		if v := recover(); v != nil {
			p.Log.Error("panic; please report this", "job", i.ID, "panic", v, "trace", string(debug.Stack()))
			d = decoded{rules: d.rules}
			d.invalid = fmt.Errorf("the message could not be decoded: panic: %v", v)
		}
	}()
	d.cmd, d.invalid = policy.Check(j.Body, p.MaxMessage, policy.Sender{ReplyTo: replyTo, Replies: j.ReplyTo != ""}, d.rules)
	if d.cmd != nil {
		d.traits = d.cmd.Traits()
	}
	if d.invalid == nil && i.Attempt > d.traits.Attempts() { // no attempt of ours is: a publisher set the header
		j.Attempt = 1
		i = p.identify(*j)
	}
	if _, ok := errors.AsType[*policy.DeniedError](d.invalid); ok && (j.Redelivered || j.Forwarded != nil) {
		if _, ok := d.cmd.(*message.Run); ok { // under the policy of before, it may have a container
			d.invalid, d.denied = nil, d.invalid
		}
	}
	return i, d
}

// prepare prepares the task by its decoded message, before the registry knows the task.
func (t *task) prepare(j intake.Job) {
	if t.invalid != nil {
		return
	}
	if j.Control && !t.traits.Control {
		t.invalid = fmt.Errorf("%s is not accepted on the control queue; send it to the queue %s", t.traits.Verb, flagval.Quote(j.Queue))
		return
	}
	if j.Stream != nil && t.traits.Streams {
		t.live = output.NewLive(t.ctx, j.Stream())
	}
	if t.name = t.cmd.Target(); t.traits.Makes {
		t.name = t.ContainerName(t.name)
	}
}

// join adds a delivery. The registry's mutex is held.
func (t *task) join(j intake.Job) {
	t.deliveries.join(j)
	if j.Redelivered {
		t.again.Store(true)
	}
}

// work carries the task out and settles it. It returns false if the job was left as it is.
func (t *task) work() bool {
	defer t.to(phaseGone)
	defer t.live.Close()
	defer t.tookEffect()
	return t.end(t.run())
}

// end settles the messages of a task that has run, as work does. It is apart from work for the stack: there its variables would take
// room while the run goes on.
func (t *task) end(result *event.Result, err error) bool {
	switch {
	case errors.Is(err, errNotBegun):
		return true // recall has requeued the message
	case errors.Is(err, errElsewhere):
		t.ctx = t.pool.settling
		e, _ := errors.AsType[*elsewhere](err)
		return t.handOver(e)
	case err != nil:
		t.log.Info("job left unfinished; its message stays unacked, and its container as it is", "container", t.name, "error", err)
		return false
	}
	if t.inherits() != nil {
		return false
	}
	t.to(phaseEnded)
	// The next command on the container may begin now; after a stop or remove only after the ack. Otherwise another
	// process could get the stop redelivered, and stop the next command's container of the same name.
	if t.traits.Lasts || verdict(result) != intake.Ack {
		t.tookEffect()
	}
	if err := t.report(result); err != nil {
		t.log.Info("the result could not be written; the message stays unacked", "container", t.name, "error", err)
		return false
	}
	t.ctx = t.pool.settling
	ok := t.settle(result)
	if ok && t.watch != nil {
		t.watch()
	}
	return ok
}

// run waits for the task's turn and carries it out. An error means that there is no result: errNotBegun,
// or the context's.
func (t *task) run() (result *event.Result, err error) {
	defer func() {
		t.share.Release()
		t.slot.Release()
	}()
	if t.invalid != nil {
		r := t.result()
		setRefused(r, t.invalid)
		return r, nil
	}
	defer func() {
		if errors.Is(err, errCancelled) {
			result, err = t.result(), nil
			setRefused(result, errCancelled)
		}
	}()
	defer t.unhold()
	if t.again.Load() && t.looksAhead() {
		t.goesAhead(t.ctx)
	}
	if err := t.awaitTurn(); errors.Is(err, dockerapi.ErrConflict) {
		if !t.pool.due(t) {
			return nil, t.notBegun()
		}
		return t.containerResult("", err)
	} else if err != nil {
		return nil, err
	}
	defer func() {
		if v := recover(); v != nil {
			t.log.Error("panic; please report this", "panic", v, "trace", string(debug.Stack()))
			result, err = t.result(), nil
			t.cleanup = nil
			result.Status, result.Reason, result.Error = event.Errored, event.ReasonInternal, fmt.Sprintf("panic: %v", v)
		}
	}()
	if ref := message.RefOf(t.cmd); ref != nil {
		if over, err := t.resolve(ref); err != nil || over {
			return t.containerResult("", err)
		}
		if t.holds() { // a stop knows only with its container how long it may take
			if err := t.hold(); err != nil {
				return t.containerResult("", err)
			}
			t.order.holds.Store(true)
		}
	}
	return t.carryOut()
}

func (t *task) tookEffect() {
	t.order.once.Do(func() {
		t.pool.jobs.effective(t.order)
	})
}

// containerResult returns the result of a command on the container ref, which ended with err.
func (t *task) containerResult(ref string, err error) (*event.Result, error) {
	if err != nil && final(err) {
		return nil, err
	}
	r := t.result()
	r.ContainerName = cmp.Or(t.name, ref)
	setDone(r, err)
	return r, nil
}

// output returns the sink for the output of a command on the container ref.
func (t *task) output(ref string) *output.Output {
	piece := func(stream string, offset int64, data []byte) event.Output {
		return event.Output{Job: t.ID, ContainerName: cmp.Or(t.name, ref), Attempt: t.shownAttempt(), Stream: stream, Offset: offset, Data: data}
	}
	emit := func(stream string, offset int64, data []byte) error {
		t.pool.tally.Output.Add(int64(len(data)))
		return t.pool.Reporter.Output(piece(stream, offset, data))
	}
	var raw func(stream string, offset int64, data []byte)
	if t.live != nil {
		raw = func(stream string, offset int64, data []byte) { t.live.Write(piece(stream, offset, data)) }
	}
	return output.NewOutput(emit, raw, t.pool.Capture, &t.pool.lineBudget)
}

// shownAttempt returns the attempt's number if the job may have several attempts, else 0.
func (t *task) shownAttempt() int {
	if t.traits.Retry != nil {
		return t.Attempt
	}
	return 0
}

// result returns a result of the task with the fields that every result has.
func (t *task) result() *event.Result {
	return &event.Result{
		Job: t.ID, Command: t.traits.Verb, Host: t.pool.Host, Queue: t.Queue, Attempt: t.shownAttempt(),
		ContainerID: t.container, ContainerName: t.name, Warnings: t.creation.warnings,
	}
}

// report shows the result, and logs it: at level WARN if the job did not do what its message asked for.
func (t *task) report(r *event.Result) error {
	if err := t.pool.Reporter.Result(*r); err != nil {
		return err
	}
	j := t.pool.ends(t, r)
	level, said, key := slog.LevelInfo, "job done", string(r.Status)
	if r.Reason != "" {
		key += "/" + r.Reason
	}
	switch {
	case r.Retrying:
		level, said = slog.LevelWarn, "attempt failed"
	case r.Status != event.Succeeded && r.Status != event.Stopped && r.Reason != event.ReasonCancelled:
		level = slog.LevelWarn
	}
	if t.pool.lines.Takes(level, key) {
		t.log.Log(context.Background(), level, said, joblog.Line(r, j)...)
	}
	return nil
}

// giveBack requeues the message of a recalled task. Later commands on its container may be requeued only after that.
func (t *task) giveBack() {
	t.log.Debug("job not begun; requeued")
	t.releases()
	for {
		for _, j := range t.take() {
			t.next(true)
			if err := j.Settle(t.ctx, intake.Requeue, *t.result()); err != nil {
				t.log.Debug("message not requeued", "error", err)
			}
		}
		if t.pool.jobs.remove(t) {
			break
		}
	}
	t.order.givenBack.Store(true)
	t.tookEffect()
}
