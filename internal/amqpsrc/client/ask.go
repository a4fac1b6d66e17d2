package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// ErrNobody means that no daemon gets the question.
var ErrNobody = errors.New("no daemon answers")

// mostUnread bounds the answers that were received and not handed over. Anybody may send any number.
const mostUnread = 1000

// Ask asks all daemons of a queue for their status, see package wire. Each answer is a body, of at most wire.MostAnswer bytes,
// that anybody may have sent. The channel is closed when ctx ends, or the connection.
func (c *Client) Ask(ctx context.Context, queue string) (<-chan []byte, error) {
	var ch *amqp.Channel
	var answers <-chan amqp.Delivery
	var closed chan *amqp.Error
	var returned chan amqp.Return
	err := c.within(ctx, queue, "read permission on "+wire.DirectReply, func() (err error) {
		if ch, err = c.link.Channel(); err != nil {
			return err
		}
		closed, returned = ch.NotifyClose(make(chan *amqp.Error, 1)), ch.NotifyReturn(make(chan amqp.Return, 1))
		answers, err = ch.Consume(wire.DirectReply, "",
			true,  // autoAck: a direct reply-to takes no acks
			false, // exclusive
			false, // noLocal
			false, // noWait
			nil)
		if err != nil {
			return err
		}
		return ch.Confirm(false) // noWait
	})
	if err != nil {
		return nil, err
	}
	question := rand.Text()
	dc, err := ch.PublishWithDeferredConfirm(wire.QuestionExchange, wire.QuestionKey(queue), true, false, amqp.Publishing{ // mandatory, immediate
		Type: wire.Asking, CorrelationId: question, ReplyTo: wire.DirectReply,
	})
	if err == nil {
		select {
		case <-dc.Done():
			switch e := wire.NonBlocking(closed); {
			case wire.NonBlocking(returned).ReplyCode != 0:
				err = ErrNobody
			case e != nil && e.Code == amqp.AccessRefused:
				return nil, fmt.Errorf("%w: write permission on exchange %q, to ask: %s", wire.ErrForbidden, wire.QuestionExchange, e.Reason)
			case e != nil:
				return nil, wire.Plain(e)
			case !dc.Acked():
				err = wire.ErrNacked
			}
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		c.shut(ch)
		return nil, c.why(context.Background(), err)
	}
	out := make(chan []byte)
	return out, c.consume(ctx, func(ctx context.Context) {
		defer c.shut(ch)
		defer close(out)
		for {
			select {
			case d, ok := <-answers:
				if !ok {
					return
				}
				c.answers.Settled()
				if d.CorrelationId != question || len(d.Body) == 0 {
					continue
				}
				select {
				case out <- d.Body:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
}

// shut closes the channel of a question. What comes on it meanwhile is dropped by the library.
func (c *Client) shut(ch *amqp.Channel) {
	if !c.Blocked() {
		_ = c.link.Within(wire.CloseTimeout, ch.Close)
	}
}

// Blocked reports whether the broker takes no messages for now: it is short of memory or disk.
func (c *Client) Blocked() bool {
	open, _ := c.link.Unblocked.State()
	return !open
}
