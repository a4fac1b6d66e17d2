package amqpsrc

import (
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"
)

var (
	errUnroutable = errors.New("the queue does not exist")
	errNacked     = errors.New("the broker could not store it (is the queue full?)")
	errLine       = errors.New("the connection ended before the broker confirmed it")
	errUnanswered = errors.New("the broker has not confirmed it in time")
)

// An outlet is a channel in confirm mode.
type outlet struct {
	ch       *amqp.Channel
	closed   chan *amqp.Error
	returned chan amqp.Return
}

// outlet makes an outlet with room for so many returned messages: the reader of the connection must not
// wait for who reads them.
func (l *link) outlet(returns int) (*outlet, error) {
	var o outlet
	return &o, l.within(rpcTimeout, func() (err error) {
		if o.ch, err = l.Channel(); err != nil {
			return err
		}
		o.closed = o.ch.NotifyClose(make(chan *amqp.Error, 1))
		o.returned = o.ch.NotifyReturn(make(chan amqp.Return, returns))
		return o.ch.Confirm(false) // noWait
	})
}

// publish writes a message, mandatory but for a direct reply-to: see isDirect.
func (o *outlet) publish(queue string, m amqp.Publishing) (*amqp.DeferredConfirmation, error) {
	return o.ch.PublishWithDeferredConfirm("", queue, !isDirect(queue), false, m) // mandatory, immediate
}

// unconfirmed tells what became of a message that was neither returned nor acked. Not acked is what a
// nack, a closed channel and a lost connection have in common. errLine means that nobody knows. open
// tells whether the outlet can be used again.
func (o *outlet) unconfirmed(l *link) (err error, open bool) {
	if !o.ch.IsClosed() {
		return errNacked, true
	}
	return o.end(l), false
}

// end returns why an outlet was closed: the broker's reason, the first time, else errLine.
func (o *outlet) end(l *link) error {
	if e := nonBlocking(o.closed); e != nil && e.Server && !l.IsClosed() {
		return plain(e)
	}
	return errLine
}
