package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/joblog"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A task is a job of a pool. Only its goroutine uses the fields.
type task struct {
	container.Work
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
func (p *Pool) decode(j *intake.Job) (i identity.Identity, d live.Decoded) {
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
	d.Rules = rules.For(j.User)
	if d.Invalid = j.Invalid; d.Invalid != nil {
		return i, d
	}
	replyTo, _, _ := strings.Cut(j.ReplyTo, "\x00")
	if j.ReplyTo != "" {
		if d.Invalid = d.Rules.AllowsReply(replyTo); d.Invalid != nil {
			j.ReplyTo, j.Reply, j.Stream = "", nil, nil
			return i, d
		}
	}
	defer func() {
		if v := recover(); v != nil {
			p.Log.Error("panic; please report this", "job", i.ID, "panic", v, "trace", string(debug.Stack()))
			d = live.Decoded{Rules: d.Rules}
			d.Invalid = fmt.Errorf("the message could not be decoded: panic: %v", v)
		}
	}()
	d.Cmd, d.Invalid = policy.Check(j.Body, p.MaxMessage, policy.Sender{ReplyTo: replyTo, Replies: j.ReplyTo != ""}, d.Rules)
	if d.Cmd != nil {
		d.Traits = d.Cmd.Traits()
	}
	if d.Invalid == nil && i.Attempt > d.Traits.Attempts() { // no attempt of ours is: a publisher set the header
		j.Attempt = 1
		i = p.identify(*j)
	}
	if _, ok := errors.AsType[*policy.DeniedError](d.Invalid); ok && (j.Redelivered || j.Forwarded != nil) {
		if _, ok := d.Cmd.(*message.Run); ok { // under the policy of before, it may have a container
			d.Invalid, d.Denied = nil, d.Invalid
		}
	}
	return i, d
}

// prepare prepares the task by its decoded message, before the registry knows the task.
func (t *task) prepare(j intake.Job) {
	if t.Invalid != nil {
		return
	}
	if j.Control && !t.Traits.Control {
		t.Invalid = fmt.Errorf("%s is not accepted on the control queue; send it to the queue %s", t.Traits.Verb, flagval.Quote(j.Queue))
		return
	}
	if j.Stream != nil && t.Traits.Streams {
		t.Live = output.NewLive(t.Ctx, j.Stream())
	}
	if t.Name = t.Cmd.Target(); t.Traits.Makes {
		t.Name = t.ContainerName(t.Name)
	}
}

// process carries the task out and settles it. It returns false if the job was left as it is.
func (t *task) process() bool {
	defer t.To(live.Gone)
	defer t.Live.Close()
	defer t.TakesEffect()
	return t.end(t.run())
}

// end settles the messages of a task that has run, as process does. It is apart from process for the stack: there its variables would take
// room while the run goes on.
func (t *task) end(result *event.Result, err error) bool {
	switch {
	case errors.Is(err, live.ErrNotBegun):
		return true // recall has requeued the message
	case errors.Is(err, live.ErrElsewhere):
		t.Ctx = t.pool.settling
		e, _ := errors.AsType[*live.Elsewhere](err)
		return t.handOver(e)
	case err != nil:
		t.Log.Info("job left unfinished; its message stays unacked, and its container as it is", "container", t.Name, "error", err)
		return false
	}
	if t.pool.hosts.Inherits(&t.Task) != nil {
		return false
	}
	t.To(live.Ended)
	// The next command on the container may begin now; after a stop or remove only after the ack. Otherwise another
	// process could get the stop redelivered, and stop the next command's container of the same name.
	if t.Traits.Lasts || verdict(result) != intake.Ack {
		t.TakesEffect()
	}
	if err := t.report(result); err != nil {
		t.Log.Info("the result could not be written; the message stays unacked", "container", t.Name, "error", err)
		return false
	}
	t.Ctx = t.pool.settling
	ok := t.settle(result)
	if ok && t.AtEnd != nil {
		t.AtEnd()
	}
	return ok
}

// run waits for the task's turn and carries it out. An error means that there is no result: live.ErrNotBegun,
// or the context's.
func (t *task) run() (result *event.Result, err error) {
	defer t.LeavePlace()
	if t.Invalid != nil {
		r := t.Result()
		container.SetRefused(r, t.Invalid)
		return r, nil
	}
	defer func() {
		if errors.Is(err, live.ErrCancelled) {
			result, err = t.Result(), nil
			container.SetRefused(result, live.ErrCancelled)
		}
	}()
	defer t.unhold()
	if t.WasRedelivered() && t.pool.hosts.LooksAhead(&t.Task) {
		t.pool.hosts.GoesAhead(t.Ctx, &t.Task)
	}
	if err := t.awaitTurn(); errors.Is(err, dockerapi.ErrConflict) {
		if !t.pool.due(&t.Task) {
			return nil, t.NotBegun()
		}
		return t.ContainerResult("", err)
	} else if err != nil {
		return nil, err
	}
	defer func() {
		if v := recover(); v != nil {
			t.Log.Error("panic; please report this", "panic", v, "trace", string(debug.Stack()))
			result, err = t.Result(), nil
			t.Cleanup = nil
			result.Status, result.Reason, result.Error = event.Errored, event.ReasonInternal, fmt.Sprintf("panic: %v", v)
		}
	}()
	if ref := message.RefOf(t.Cmd); ref != nil {
		if over, err := t.resolve(ref); err != nil || over {
			return t.ContainerResult("", err)
		}
		if t.holds() { // a stop knows only with its container how long it may take
			if err := t.hold(); err != nil {
				return t.ContainerResult("", err)
			}
			t.Order.Holds.Store(true)
		}
	}
	return t.carryOut()
}

// report shows the result, and logs it: at level WARN if the job did not do what its message asked for.
func (t *task) report(r *event.Result) error {
	if err := t.pool.Reporter.Result(*r); err != nil {
		return err
	}
	j := t.pool.ends(&t.Task, r)
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
		t.Log.Log(context.Background(), level, said, joblog.Line(r, j)...)
	}
	return nil
}
