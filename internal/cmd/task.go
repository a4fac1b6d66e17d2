package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
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

// A job is a task of a pool. Only its goroutine uses the fields.
type job struct {
	work
	pool *Pool
	outbox
	waitsFrom time.Time // since when it waits for a host
	held      *holders  // the counter that counts it, see hold
	tidied    bool      // cleanup is done
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
func (t *job) prepare(j intake.Job) {
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

// process carries the task out and settles it. It returns false if the job was left as it is.
func (t *job) process() bool {
	defer t.to(phaseGone)
	defer t.live.Close()
	defer t.takesEffect()
	return t.end(t.run())
}

// end settles the messages of a task that has run, as process does. It is apart from process for the stack: there its variables would take
// room while the run goes on.
func (t *job) end(result *event.Result, err error) bool {
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
	if t.pool.hosts.inherits(&t.task) != nil {
		return false
	}
	t.to(phaseEnded)
	// The next command on the container may begin now; after a stop or remove only after the ack. Otherwise another
	// process could get the stop redelivered, and stop the next command's container of the same name.
	if t.traits.Lasts || verdict(result) != intake.Ack {
		t.takesEffect()
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
func (t *job) run() (result *event.Result, err error) {
	defer t.leavePlace()
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
	if t.wasRedelivered() && t.pool.hosts.looksAhead(&t.task) {
		t.pool.hosts.goesAhead(t.ctx, &t.task)
	}
	if err := t.awaitTurn(); errors.Is(err, dockerapi.ErrConflict) {
		if !t.pool.due(&t.task) {
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

// report shows the result, and logs it: at level WARN if the job did not do what its message asked for.
func (t *job) report(r *event.Result) error {
	if err := t.pool.Reporter.Result(*r); err != nil {
		return err
	}
	j := t.pool.ends(&t.task, r)
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
