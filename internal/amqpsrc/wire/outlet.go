package wire

import (
	"errors"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Reasons why a sent message is not stored, or may not be.
var (
	ErrUnroutable = errors.New("the queue does not exist")
	ErrNacked     = errors.New("the broker could not store it (is the queue full?)")
	ErrLine       = errors.New("the connection ended before the broker confirmed it")
	ErrUnanswered = errors.New("the broker has not confirmed it in time")
)

// Consume starts a consumer on a queue, whose deliveries are to be acked, and waits for the broker's answer.
func Consume(ch *amqp.Channel, queue, tag string) (<-chan amqp.Delivery, error) {
	return ch.Consume(queue, tag,
		false, // autoAck
		false, // exclusive
		false, // noLocal
		false, // noWait
		nil)
}

// An Outlet is a channel in confirm mode.
type Outlet struct {
	Ch       *amqp.Channel
	closed   chan *amqp.Error
	Returned chan amqp.Return
}

// Outlet opens an outlet that buffers the given number of returned messages. With a full buffer, the goroutine that
// reads the connection would block.
func (l *Link) Outlet(returns int) (*Outlet, error) {
	var o Outlet
	l.outlets = append(slices.DeleteFunc(l.outlets, func(o *Outlet) bool { return o.Ch == nil || o.Ch.IsClosed() }), &o)
	return &o, l.Within(RPCTimeout, func() (err error) {
		if o.Ch, err = l.Channel(); err != nil {
			return err
		}
		o.closed = o.Ch.NotifyClose(make(chan *amqp.Error, 1))
		o.Returned = o.Ch.NotifyReturn(make(chan amqp.Return, returns))
		return o.Ch.Confirm(false) // noWait
	})
}

// Publish writes a message. It is mandatory, except to a direct reply-to: see IsDirect.
func (o *Outlet) Publish(queue string, m amqp.Publishing) (*amqp.DeferredConfirmation, error) {
	return o.Ch.PublishWithDeferredConfirm("", queue, !IsDirect(queue), false, m) // mandatory, immediate
}

// Unconfirmed returns why a message that was not returned was not acked either: a nack, a closed channel or a lost
// connection. ErrLine means that the message may or may not be stored. open reports whether the outlet can be used again.
func (o *Outlet) Unconfirmed(l *Link) (err error, open bool) {
	if !o.Ch.IsClosed() {
		return ErrNacked, true
	}
	return o.End(l), false
}

// End returns why an outlet was closed. The first call returns the broker's reason, if any; otherwise it is ErrLine.
func (o *Outlet) End(l *Link) error {
	if e := NonBlocking(o.closed); e != nil && e.Server && !l.IsClosed() {
		return Plain(e)
	}
	return ErrLine
}
