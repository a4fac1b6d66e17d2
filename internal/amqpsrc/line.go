package amqpsrc

import (
	"context"
	"fmt"
	"hash/maphash"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A line is one connection that publishes. Its owner, publisher.serve, makes all synchronous calls.
type line struct {
	link      *wire.Link
	frameMax  int
	unblocked intake.Gate
	blocked   <-chan amqp.Blocking
	free      chan *wire.Outlet // outlets not in use
	broken    chan *wire.Outlet // outlets for the owner to replace
	calls     chan call         // synchronous calls for the owner to make
	over      chan struct{}     // closed when the connection has ended
	lanes     [lanes]*lane      // only the owner uses it; nil: not opened yet
	seed      maphash.Seed      // spreads queues over lanes
}

// A call is a request to the owner of a line to make a synchronous call.
type call struct {
	make   func(*line) error
	answer chan<- error
}

// call has the owner of the current line make a synchronous call.
func (p *publisher) call(ctx context.Context, make func(*line) error) error {
	l, err := p.current(ctx)
	if err != nil {
		return err
	}
	return l.call(ctx, make)
}

// open returns an outlet on which window messages may be unconfirmed. Only the owner calls it.
func (l *line) open(window int) (*wire.Outlet, error) { return l.link.Outlet(window + 1) }

// serve owns a line until it ends, and returns why. If ctx ends, serve returns nil.
func (p *publisher) serve(ctx context.Context, l *line) error {
	for {
		// A broker that blocks answers no calls, so calls wait.
		broken, calls := l.broken, l.calls
		if open, _ := l.unblocked.State(); !open {
			broken, calls = nil, nil
		}
		select {
		case <-ctx.Done():
			return nil
		case e := <-l.link.Closed:
			if e == nil {
				return wire.ErrClosed
			}
			return wire.Plain(e)
		case b, ok := <-l.blocked:
			if !ok {
				l.blocked = nil
				continue
			}
			if l.unblocked.Set(!b.Active) {
				if b.Active {
					p.log.Warn("the broker takes no messages for now; dead letters wait", "reason", b.Reason)
				} else {
					p.log.Info("the broker takes messages again")
				}
			}
		case o := <-broken:
			if err := l.replace(ctx, o); err != nil {
				return wire.Plain(err)
			}
		case c := <-calls:
			c.answer <- c.make(l)
		}
	}
}

// replace closes an outlet and frees a new one in its place. The old one may be closed already, or may
// wait for a confirm that is no longer needed. A broker that begins to block does not answer. That must not
// hold up a Close, so the end of ctx cuts the connection.
func (l *line) replace(ctx context.Context, o *wire.Outlet) error {
	stop := context.AfterFunc(ctx, l.link.Wire.Abort)
	defer stop()
	if err := l.link.Within(wire.RPCTimeout, o.Ch.Close); err != nil {
		return err
	}
	fresh, err := l.open(1)
	if err != nil {
		return err
	}
	l.free <- fresh
	return nil
}

// send publishes one message on an outlet and waits for its confirm. clean: the outlet can be used again.
func (l *line) send(ctx context.Context, o *wire.Outlet, queue string, m amqp.Publishing, patience time.Duration) (err error, clean bool) {
	dc, err := l.write(o, queue, m)
	if err != nil {
		return err, false
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for waiting := true; waiting; {
		open, changed := l.unblocked.State()
		select {
		case <-dc.Done():
			waiting = false
		case <-changed:
			timer.Reset(patience) // a broker confirms nothing while it blocks
		case <-timer.C:
			if open {
				return wire.ErrUnanswered, false
			}
			timer.Reset(patience)
		case <-ctx.Done():
			return ctx.Err(), false
		}
	}
	return l.outcome(o, dc)
}

// write sends a message without waiting for its confirm.
func (l *line) write(o *wire.Outlet, queue string, m amqp.Publishing) (*amqp.DeferredConfirmation, error) {
	dc, err := o.Publish(queue, m)
	if err == nil {
		return dc, nil
	}
	if reason := o.End(l.link); reason != wire.ErrLine {
		return nil, reason
	}
	return nil, fmt.Errorf("%w: %w", wire.ErrLine, err)
}

// outcome returns the outcome of a message whose confirm is done. clean: the outlet can be used again.
func (l *line) outcome(o *wire.Outlet, dc *amqp.DeferredConfirmation) (err error, clean bool) {
	// A return comes before the confirm, so it is here by now.
	if wire.NonBlocking(o.Returned).ReplyCode != 0 {
		return wire.ErrUnroutable, true
	}
	if dc.Acked() {
		return nil, true
	}
	return o.Unconfirmed(l.link)
}

// await receives from c, or returns why the wait ended. If c is closed, v is the zero value.
func await[T any](ctx context.Context, l *line, c <-chan T) (v T, err error) {
	select {
	case v = <-c:
		return v, nil
	case <-l.over:
		return v, wire.ErrLine
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

// call has the line's owner make a synchronous call.
func (l *line) call(ctx context.Context, f func(*line) error) error {
	answer := make(chan error, 1)
	select {
	case l.calls <- call{f, answer}:
	case <-l.over:
		return wire.ErrLine
	case <-ctx.Done():
		return ctx.Err()
	}
	made, err := await(ctx, l, answer)
	if err != nil {
		return err
	}
	return made
}
