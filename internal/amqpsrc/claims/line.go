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

// A line is a connection on which any goroutine makes calls. It publishes nothing, so a broker that takes no messages answers
// its calls all the same.
type line struct {
	link     *wire.Link
	channels chan *amqp.Channel // not in use; nil: to be opened
	over     chan struct{}      // closed when the connection has ended
}

func newLine(link *wire.Link) *line {
	l := &line{link, make(chan *amqp.Channel, mostCalls), make(chan struct{})}
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

// declare makes an exchange whose messages go to the exchange next. ok is false if it exists with another one.
func (l *line) declare(ctx context.Context, exchange, next string) (ok bool, err error) {
	err = l.call(ctx, func(ch *amqp.Channel) error { return declare(ch, exchange, next) })
	if wire.Code(err) == amqp.PreconditionFailed {
		return false, nil
	}
	return err == nil, err
}

// owner returns to whom the messages of a claim go; the zero life if there is no such claim. It declares the claim in a way that the
// broker always refuses, and the refusal says which of both it is. A passive declare would not name the owner. A declare that could
// succeed would make a claim if the claim was just deleted.
func (l *line) owner(ctx context.Context, claim string) (life, error) {
	err := l.call(ctx, func(ch *amqp.Channel) error { return declare(ch, claim, int32(0)) })
	if wire.Code(err) != amqp.PreconditionFailed {
		return life{}, err
	}
	text := wire.Reason(err)
	if strings.Contains(text, "invalid type") {
		return life{}, nil
	}
	_, current, _ := strings.Cut(text, "but current is ")
	_, current, _ = strings.Cut(current, "'")
	current, _, _ = strings.Cut(current, "'")
	if owner, ok := parseLife(current); ok {
		return owner, nil
	}
	return life{}, fmt.Errorf("exchange %q is no claim of a host; delete it: %w", claim, err)
}

// next is a string, or anything else for a declare that the broker refuses.
func declare(ch *amqp.Channel, exchange string, next any) error {
	return ch.ExchangeDeclare(exchange, amqp.ExchangeFanout,
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

// unlock deletes the queue of a lock.
func (l *line) unlock(ctx context.Context, queue string) error {
	return l.call(ctx, func(ch *amqp.Channel) error {
		_, err := ch.QueueDelete(queue, false, false, false) // ifUnused, ifEmpty, noWait
		return err
	})
}
