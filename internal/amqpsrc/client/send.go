package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// underWayMax is how many messages of a Client may be unconfirmed at a time.
const underWayMax = 1024

// ErrUnknown is the error of a message that may be stored or not. Its connection or its channel ended
// before the broker confirmed it.
var ErrUnknown = errors.New("it is not known whether it was stored")

// ErrNotStored is the error of a message that the broker received and could not store.
var ErrNotStored = wire.ErrNacked

// A Message is what a Client sends and receives.
type Message struct {
	ID              string
	ReplyTo         string
	CorrelationID   string
	Type            string
	ContentType     string
	ContentEncoding string
	AppID           string
	Priority        uint8
	Timestamp       time.Time      // in whole seconds
	Headers         map[string]any // with the values of a Received
	Body            []byte
}

// publishing returns a message in the library's form, or why it cannot be sent. The library would find that
// out too late, with half of the message written, and the broker would end the connection.
func (m Message) publishing(queue string, frameMax int) (amqp.Publishing, error) {
	p := amqp.Publishing{
		ContentType:     m.ContentType,
		ContentEncoding: m.ContentEncoding,
		DeliveryMode:    amqp.Persistent,
		Priority:        m.Priority,
		CorrelationId:   m.CorrelationID,
		ReplyTo:         m.ReplyTo,
		MessageId:       m.ID,
		Timestamp:       m.Timestamp,
		Type:            m.Type,
		AppId:           m.AppID,
		Body:            m.Body,
	}
	for _, s := range []struct{ name, value string }{
		{"message_id", m.ID}, {"reply_to", m.ReplyTo}, {"correlation_id", m.CorrelationID}, {"type", m.Type},
		{"content_type", m.ContentType}, {"content_encoding", m.ContentEncoding}, {"app_id", m.AppID},
	} {
		if len(s.value) > 255 {
			return p, fmt.Errorf("its %s has %d bytes; at most 255 can be sent", s.name, len(s.value))
		}
	}
	if err := checkName(queue); err != nil {
		return p, err
	}
	p.Headers = m.Headers
	for k, v := range p.Headers {
		if _, ok := wire.FieldSize(v, 0); !ok || len(k) > 255 {
			return p, fmt.Errorf("its header %q cannot be sent", wire.Clip(k, 255))
		}
	}
	if _, ok := wire.FieldSize(p.Headers, 0); !ok || wire.Room(p, p.Headers, frameMax) < 0 {
		return p, errors.New("its headers are more than can be sent")
	}
	return p, nil
}

// Send writes a message, persistent and mandatory, to a queue by the default exchange. Send waits while the broker blocks, or while
// underWayMax messages are unconfirmed. If Send fails, nothing was stored, unless the error is ErrUnknown.
//
// confirmed returns nil once the broker has stored the message. After the error of ctx this is still open, and the caller may call
// confirmed again. After ErrUnknown it stays unknown. After any other error nothing was stored: ErrNotStored, wire.ErrNoQueue if the
// queue does not exist, or the broker's refusal.
func (c *Client) Send(ctx context.Context, queue string, m Message) (confirmed func(ctx context.Context) error, err error) {
	p, err := m.publishing(queue, c.link.Config.FrameSize)
	if err != nil {
		return nil, err
	}
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	sent, err := c.send(ctx, queue, p)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		select {
		case <-sent.known:
			return sent.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil
}

// A posting is a message under way.
type posting struct {
	known chan struct{} // closed when the outcome is known
	err   error         // the outcome; written before known is closed
}

// explain returns the error of Send for the outcome of a message.
func explain(err error, queue string) error {
	switch {
	case errors.Is(err, wire.ErrUnroutable):
		return fmt.Errorf("%w: %q", wire.ErrNoQueue, queue)
	case err == nil, err == wire.ErrNacked:
		return err
	}
	cause := wire.ExplainQueue(err, queue, `write permission on exchange "amq.default"`)
	if err == wire.ErrLine || errors.Is(err, wire.ErrShared) {
		return fmt.Errorf("%w: %w", ErrUnknown, cause)
	}
	return cause
}

// take puts a token into tokens, or returns why it cannot.
func (c *Client) take(ctx context.Context, tokens chan<- struct{}) error {
	select {
	case tokens <- struct{}{}:
		return nil
	case <-c.done:
		return c.gone()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send waits for its turn and publishes a message.
func (c *Client) send(ctx context.Context, queue string, p amqp.Publishing) (*posting, error) {
	if err := c.take(ctx, c.turn); err != nil {
		return nil, err
	}
	defer func() { <-c.turn }()
	for {
		if err := c.open(ctx); err != nil {
			return nil, err
		}
		if err := c.take(ctx, c.outlet.Slots); err != nil {
			return nil, err
		}
		sent, err := c.outlet.Publish("", queue, p)
		if errors.Is(err, amqp.ErrClosed) && !c.link.IsClosed() {
			continue // the broker has just closed the channel over an earlier message; nothing was written
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnknown, c.why(ctx, wire.Plain(err)))
		}
		s := &posting{known: make(chan struct{})}
		c.sends.Go(func() { // also if the caller does not wait: the slot is freed
			<-sent.Done()
			s.err = explain(sent.Outcome(), queue)
			close(s.known)
		})
		return s, nil
	}
}

// open opens an outlet if there is none, or if the broker has closed the last. The caller holds turn.
func (c *Client) open(ctx context.Context) (err error) {
	if c.outlet != nil && !c.outlet.Ch.IsClosed() {
		return nil
	}
	if c.Err() != nil {
		return c.gone()
	}
	defer context.AfterFunc(ctx, c.link.Wire.Abort)()
	if c.outlet, err = c.link.Outlet(underWayMax); err != nil {
		return c.why(ctx, wire.Plain(err))
	}
	return nil
}

// Publish sends a message and waits until the broker has stored it. See Send.
func (c *Client) Publish(ctx context.Context, queue string, m Message) error {
	confirmed, err := c.Send(ctx, queue, m)
	if err != nil {
		return err
	}
	return confirmed(ctx)
}
