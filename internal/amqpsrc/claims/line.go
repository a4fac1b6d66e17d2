package claims

import (
	"context"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// mostCalls is how many calls are under way at a time. More at a time are faster: each waits for the broker's disk.
const mostCalls = 8

// A line is a connection on which any goroutine makes calls. It publishes nothing, so a broker that is short of memory answers
// its calls all the same.
type line struct {
	link     *wire.Link
	channels chan *amqp.Channel // not in use; nil: to be opened
	over     chan struct{}      // closed when the connection has ended
	why      chan error         // the first error of end
}

func newLine(link *wire.Link) *line {
	l := &line{link, make(chan *amqp.Channel, mostCalls), make(chan struct{}), make(chan error, 1)}
	for range mostCalls {
		l.channels <- nil
	}
	return l
}

// call makes synchronous calls on a channel of their own. Its error is wire.ErrLine if the connection ended, and the caller does
// not know what the broker did.
func (l *line) call(ctx context.Context, calls func(*amqp.Channel) error) error {
	var ch *amqp.Channel
	select {
	case ch = <-l.channels:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.channels <- ch }()
	err := l.link.Until(ctx, wire.RPCTimeout, func() (err error) {
		if ch == nil || ch.IsClosed() { // the broker closes it with each refusal
			if ch, err = l.link.Channel(); err != nil {
				return err
			}
		}
		return calls(ch)
	})
	if err == nil || wire.Refused(err) && !l.link.IsClosed() {
		return wire.Plain(err)
	}
	l.link.Wire.Abort()
	return fmt.Errorf("%w: %w", wire.ErrLine, err)
}

// end ends the connection over an answer of the broker with which no call can go on, and returns an error of the kind wire.ErrLine.
func (l *line) end(why error) error {
	select {
	case l.why <- why:
	default:
	}
	l.link.Wire.Abort()
	return fmt.Errorf("%w: %w", wire.ErrLine, why)
}

// declare makes an exchange whose messages go to the exchange next. ok is false if it exists with another one.
func (l *line) declare(ctx context.Context, exchange, next string) (ok bool, err error) {
	return l.declareAs(ctx, amqp.ExchangeFanout, exchange, next)
}

// declareAs is declare for an exchange of another type. ok is false also if it exists with another type.
func (l *line) declareAs(ctx context.Context, kind, exchange, next string) (ok bool, err error) {
	err = l.call(ctx, func(ch *amqp.Channel) error { return declare(ch, kind, exchange, next) })
	if wire.Code(err) == amqp.PreconditionFailed {
		return false, nil
	}
	return err == nil, err
}

// claim makes a claim for a host, or returns the host that has it; the zero life if that cannot be told.
//
// A node that a network fault has parted from its cluster may grant a claim before it pauses, and the others grant the same claim
// to another host. But it cannot answer for a quorum queue. So a claim holds only after the broker has looked into the queue majority.
func (l *line) claim(ctx context.Context, claim string, as life, majority string) (owner life, err error) {
	err = l.call(ctx, func(ch *amqp.Channel) error {
		if err := declare(ch, amqp.ExchangeFanout, claim, as.exchange()); err != nil {
			return err
		}
		_, _, err := ch.Get(majority, true) // autoAck
		return err
	})
	if err == nil {
		return as, nil
	}
	if owner, ok := current(err); ok {
		return owner, nil
	}
	if wire.Code(err) == amqp.PreconditionFailed {
		return l.owner(ctx, claim) // whose text has more room
	}
	return life{}, err
}

// unclaim deletes a claim, which may be missing. A container is removed next, because its message is acked. A node that a network
// fault has parted from its cluster takes both the ack and the delete, and the cluster has neither. So unclaim, as claim does, looks
// into the queue majority.
func (l *line) unclaim(ctx context.Context, claim, majority string) error {
	return l.call(ctx, func(ch *amqp.Channel) error {
		if err := ch.ExchangeDelete(claim, false, false); err != nil { // ifUnused, noWait
			return err
		}
		_, _, err := ch.Get(majority, true) // autoAck
		return err
	})
}

// owner returns the host that has a claim; the zero life if there is no such claim. It declares the claim in a way that the broker
// always refuses, and the refusal says which of both it is. A passive declare would not name the owner. A declare that could succeed
// would make a claim if the claim was just deleted.
func (l *line) owner(ctx context.Context, claim string) (life, error) {
	err := l.call(ctx, func(ch *amqp.Channel) error { return declare(ch, amqp.ExchangeFanout, claim, int32(0)) })
	owner, ok := current(err)
	switch {
	case ok:
		return owner, nil
	case wire.Code(err) != amqp.PreconditionFailed:
		return life{}, err
	case strings.Contains(wire.Reason(err), "invalid type"):
		return life{}, nil
	}
	return life{}, fmt.Errorf("exchange %q is no claim of a host; delete it: %s", claim, wire.Reason(err)) // a fault of one key only
}

// current returns the host that the broker's refusal of a claim names. The broker cuts a long text.
func current(refusal error) (owner life, ok bool) {
	if wire.Code(refusal) != amqp.PreconditionFailed {
		return life{}, false
	}
	_, text, _ := strings.Cut(wire.Reason(refusal), "but current is ")
	_, text, _ = strings.Cut(text, "'")
	exchange, _, whole := strings.Cut(text, "'")
	owner, ok = parseLife(exchange)
	return owner, ok && whole
}

// next is a string, or anything else for a declare that the broker refuses.
func declare(ch *amqp.Channel, kind, exchange string, next any) error {
	return ch.ExchangeDeclare(exchange, kind,
		true,  // durable
		false, // autoDelete
		false, // internal
		false, // noWait
		amqp.Table{"alternate-exchange": next})
}

// exists reports whether there is an exchange.
func (l *line) exists(ctx context.Context, exchange string) (bool, error) {
	err := l.call(ctx, func(ch *amqp.Channel) error {
		return ch.ExchangeDeclarePassive(exchange, amqp.ExchangeFanout, true, false, false, false, nil) // the broker ignores the flags
	})
	if wire.Code(err) == amqp.NotFound {
		return false, nil
	}
	return err == nil, err
}

// remove deletes an exchange, which may be missing.
func (l *line) remove(ctx context.Context, exchange string) error {
	return l.call(ctx, func(ch *amqp.Channel) error { return ch.ExchangeDelete(exchange, false, false) }) // ifUnused, noWait
}

// queue returns how many messages and consumers a queue has, or an error if it does not exist.
func (l *line) queue(ctx context.Context, name string) (q amqp.Queue, err error) {
	err = l.call(ctx, func(ch *amqp.Channel) (err error) {
		q, err = ch.QueueDeclarePassive(name, true, false, false, false, nil) // the broker ignores the flags
		return err
	})
	return q, err
}

// lock makes a queue that only this connection has, until unlock or its end. taken is false if another connection has it.
func (l *line) lock(ctx context.Context, queue string) (taken bool, err error) {
	err = l.call(ctx, func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(queue,
			false, // durable
			false, // autoDelete
			true,  // exclusive
			false, // noWait
			amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeClassic})
		return err
	})
	if wire.Code(err) == amqp.ResourceLocked {
		return false, nil
	}
	return err == nil, err
}

// locked reports whether another connection has a lock.
func (l *line) locked(ctx context.Context, queue string) (bool, error) {
	_, err := l.queue(ctx, queue)
	if wire.Code(err) == amqp.ResourceLocked {
		return true, nil
	}
	if wire.IsNoQueue(err) {
		err = nil
	}
	return false, err
}

// unlock deletes the queue of a lock.
func (l *line) unlock(ctx context.Context, queue string) error {
	return l.call(ctx, func(ch *amqp.Channel) error {
		_, err := ch.QueueDelete(queue, false, false, false) // ifUnused, ifEmpty, noWait
		return err
	})
}
