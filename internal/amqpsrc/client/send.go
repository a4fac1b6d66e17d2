package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// underWayMax is how many messages of a Client may be unconfirmed at a time.
const underWayMax = 8192

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
	Timestamp       time.Time // in whole seconds
	Headers         map[string]any
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
	if len(m.Headers) == 0 {
		return p, nil
	}
	p.Headers = wire.ToTable(m.Headers)
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

// A manifold is an outlet with many messages under way. watch waits for them in the order of sending.
type manifold struct {
	*wire.Outlet
	link *wire.Link
	sent chan *posting // in the order of sending; room for underWayMax

	mu   sync.Mutex
	open int // how many messages are under way; guarded by mu
}

// A posting is a message under way.
type posting struct {
	queue, id string
	body      []byte
	dc        *amqp.DeferredConfirmation
	known     chan struct{} // closed when the outcome is known
	err       error         // the outcome; written before known is closed
}

// add adds n to the number of messages under way, and returns the number before.
func (w *manifold) add(n int) (before int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before = w.open
	w.open += n
	return before
}

// retire lets watch end after the last message under way. Nothing may be sent after retire.
func (w *manifold) retire() { close(w.sent) }

// watch finds the outcome of each message, and frees its slot.
func (w *manifold) watch(slots <-chan struct{}) {
	var returned []amqp.Return
	var cause error // why the outlet was closed
	for s := range w.sent {
		<-s.dc.Done()
		// A return comes before the confirm, so it is here by now.
		for len(w.Returned) > 0 {
			returned = append(returned, <-w.Returned)
		}
		i := returnOf(s, returned)
		switch {
		case i >= 0:
			s.err = fmt.Errorf("%w: %q", wire.ErrNoQueue, s.queue)
			returned = append(returned[:i], returned[i+1:]...)
		case s.dc.Acked():
		default:
			err, open := w.Unconfirmed(w.link)
			if open {
				s.err = err
				break
			}
			if cause == nil {
				cause = wire.ExplainQueue(err, s.queue, `write permission on exchange "amq.default"`)
				if err != wire.ErrLine && w.add(0) == 1 {
					s.err = cause // it was the only message that the channel can be closed for
					break
				}
			}
			s.err = fmt.Errorf("%w: %w", ErrUnknown, cause)
		}
		w.add(-1)
		s.body = nil
		close(s.known)
		<-slots
	}
}

// returnOf finds the return of a message; -1: none. It can only mistake messages with the same queue, id and body.
func returnOf(s *posting, returned []amqp.Return) int {
	for i, r := range returned {
		if r.RoutingKey == s.queue && r.MessageId == s.id && bytes.Equal(r.Body, s.body) {
			return i
		}
	}
	return -1
}

// Send writes a message, persistent and mandatory, to a queue by the default exchange. If underWayMax
// messages are unconfirmed, Send waits. If Send fails, nothing was stored, unless the error is ErrUnknown.
// The caller may call confirmed more than once; it returns nil once the broker has stored the message. Its errors are
// ErrUnknown, ErrNotStored, wire.ErrNoQueue if the queue does not exist, and that of ctx. Any other error means that
// the broker refused the message and did not store it.
func (c *Client) Send(ctx context.Context, queue string, m Message) (confirmed func(ctx context.Context) error, err error) {
	p, err := m.publishing(queue, c.link.Config.FrameSize)
	if err != nil {
		return nil, err
	}
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	if err := c.take(ctx, c.slots); err != nil {
		return nil, err
	}
	s, err := c.send(ctx, queue, p)
	if err != nil {
		<-c.slots
		return nil, err
	}
	return func(ctx context.Context) error {
		select {
		case <-s.known:
			return s.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}, nil
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

// send waits for its turn and publishes a message. The caller has a slot for it.
func (c *Client) send(ctx context.Context, queue string, p amqp.Publishing) (*posting, error) {
	if err := c.take(ctx, c.turn); err != nil {
		return nil, err
	}
	defer func() { <-c.turn }()
	for {
		w, err := c.current(ctx)
		if err != nil {
			return nil, err
		}
		s := &posting{queue: queue, id: p.MessageId, body: p.Body, known: make(chan struct{})}
		w.add(1)
		s.dc, err = w.Ch.PublishWithDeferredConfirm("", queue, true, false, p) // mandatory, immediate
		if err == nil {
			w.sent <- s // never blocks: sent has room for all slots
			return s, nil
		}
		w.add(-1)
		if err == amqp.ErrClosed && !c.link.IsClosed() {
			continue // the broker has just closed the channel over an earlier message; nothing was written
		}
		return nil, fmt.Errorf("%w: %w", ErrUnknown, c.why(ctx, wire.Plain(err)))
	}
}

// current returns the manifold to publish on, a new one if the broker has closed the last. The caller
// holds turn.
func (c *Client) current(ctx context.Context) (*manifold, error) {
	if c.outlet != nil && !c.outlet.Ch.IsClosed() {
		return c.outlet, nil
	}
	if c.outlet != nil {
		c.outlet.retire()
		c.outlet = nil
	}
	if err := c.Err(); err != nil {
		return nil, c.gone()
	}
	stop := context.AfterFunc(ctx, c.link.Wire.Abort)
	defer stop()
	o, err := c.link.Outlet(underWayMax)
	if err != nil {
		return nil, c.why(ctx, wire.Plain(err))
	}
	c.outlet = &manifold{Outlet: o, link: c.link, sent: make(chan *posting, underWayMax)}
	go c.outlet.watch(c.slots)
	return c.outlet, nil
}

// Publish sends a message and waits until the broker has stored it. See Send.
func (c *Client) Publish(ctx context.Context, queue string, m Message) error {
	confirmed, err := c.Send(ctx, queue, m)
	if err != nil {
		return err
	}
	return confirmed(ctx)
}
