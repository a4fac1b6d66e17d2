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

// ErrUnknown is the error of a message of which nobody knows whether it is stored: its connection or its
// channel ended before the broker confirmed it.
var ErrUnknown = errors.New("it is not known whether it was stored")

// ErrNotStored is the error of a message that the broker has and could not store.
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

// publishing is a message as the library takes it. It says what cannot be sent: what the library would
// find out too late, with half of the message on its way, and the broker would end the connection for.
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

// A manifold is an outlet with many messages under way. Its errors are looked at in the order of sending.
type manifold struct {
	*wire.Outlet
	link *wire.Link
	sent chan *posting // in the order of sending; room for all that may be under way

	mu   sync.Mutex
	open int // how many messages are under way; guarded by mu
}

// A posting is a message under way.
type posting struct {
	queue, id string
	body      []byte
	dc        *amqp.DeferredConfirmation
	known     chan struct{} // closed when it is known what became of it
	err       error         // what became of it; written before known is closed
}

// add counts the messages under way.
func (w *manifold) add(n int) (before int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before = w.open
	w.open += n
	return before
}

// retire ends the manifold when all that is under way in it is known. Nothing may be sent behind it.
func (w *manifold) retire() { close(w.sent) }

// watch finds out what becomes of each message, and gives its slot back.
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
					s.err = cause // it alone can be what the channel was closed for
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

// returnOf finds the return of a message. Only one that is the same in all respects could be taken for it.
func returnOf(s *posting, returned []amqp.Return) int {
	for i, r := range returned {
		if r.RoutingKey == s.queue && r.MessageId == s.id && bytes.Equal(r.Body, s.body) {
			return i
		}
	}
	return -1
}

// Send writes a message, persistent and mandatory, to a queue by the default exchange. confirmed waits,
// and may be called more than once. It returns nil once the broker has stored the message; ErrNoQueue where
// there is no such queue; ErrNotStored where the broker could not; ErrUnknown where nobody knows; another
// error where the broker refused it and it is not stored. Up to some thousands may be under way; then Send waits. An
// error of Send itself means that nothing was stored, unless it is ErrUnknown.
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

// take puts a token in, or returns why it cannot be.
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

// send publishes a message in its turn. The caller has a slot for it.
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
			w.sent <- s // never waits: there are no more slots than it holds
			return s, nil
		}
		w.add(-1)
		if err == amqp.ErrClosed && !c.link.IsClosed() {
			continue // the broker has closed the channel just now, over an earlier one; nothing was written
		}
		return nil, fmt.Errorf("%w: %w", ErrUnknown, c.why(ctx, wire.Plain(err)))
	}
}

// current returns the manifold to publish in, a new one where the broker has closed the last. The caller
// has its turn.
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
