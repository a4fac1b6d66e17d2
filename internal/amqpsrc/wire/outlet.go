package wire

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// Publishers is how many channels publish, each with at most one unconfirmed message. If the broker closes a
	// channel, such as over a message that is too large, no other message is lost. A returned message is always
	// the one just sent. Messages of a caller that holds a channel keep their order.
	Publishers = 8

	// ChannelsNeeded is how many channels a connection must allow: Publishers, the lanes of streams, some for calls.
	ChannelsNeeded = 2 * Publishers
)

// Reasons why a sent message is not stored, or may not be.
var (
	ErrUnroutable = errors.New("the queue does not exist")
	ErrNacked     = errors.New("the broker could not store it (is the queue full?)")
	ErrLine       = errors.New("the connection ended before the broker confirmed it")
	ErrUnanswered = errors.New("the broker has not confirmed it in time")
	ErrShared     = errors.New("the broker closed the channel over this message or another")
)

// An Outlet is a channel in confirm mode. Many messages may be unconfirmed on it, from any goroutine.
type Outlet struct {
	Ch    *amqp.Channel
	Slots chan struct{} // a token for each message whose outcome is not known; put in before Publish

	link     *Link
	closed   chan *amqp.Error
	returned chan amqp.Return
	seed     maphash.Seed

	mu     sync.Mutex
	back   map[returnKey]int // returned messages that Outcome has not matched yet; guarded by mu
	reason error             // why the broker closed the channel; guarded by mu
}

// A returnKey identifies a returned message. Messages with the same key are equal.
type returnKey struct {
	exchange, queue, id string
	body                uint64 // hash
}

// Outlet opens an outlet on which window messages may be unconfirmed. The broker may return each of them, and the goroutine
// that reads the connection must not wait for room.
func (l *Link) Outlet(window int) (*Outlet, error) {
	o := &Outlet{Slots: make(chan struct{}, window), link: l, seed: maphash.MakeSeed(), back: make(map[returnKey]int)}
	err := l.Within(RPCTimeout, func() (err error) {
		if o.Ch, err = l.Channel(); err != nil {
			return err
		}
		o.closed = o.Ch.NotifyClose(make(chan *amqp.Error, 1))
		o.returned = o.Ch.NotifyReturn(make(chan amqp.Return, window+1))
		l.mu.Lock()
		l.outlets = append(slices.DeleteFunc(l.outlets, func(o *Outlet) bool { return o.Ch.IsClosed() }), o)
		l.mu.Unlock()
		return o.Ch.Confirm(false) // noWait
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

// Idle reports whether the outlet can be used, and no message is under way.
func (o *Outlet) Idle() bool { return !o.Ch.IsClosed() && len(o.Slots) == 0 }

// A Sent is a message that was published.
type Sent struct {
	*amqp.DeferredConfirmation
	outlet              *Outlet
	exchange, queue, id string
	body                []byte
}

// Publish writes a message to an exchange: to "", which leads to the queue, or to one that ignores the queue. The message is
// mandatory, except to a direct reply-to: see IsDirect. The caller has a slot for the message, which Outcome frees. If Publish
// fails, the slot is free, and whether the broker has the message is not known.
func (o *Outlet) Publish(exchange, queue string, m amqp.Publishing) (*Sent, error) {
	dc, err := o.Ch.PublishWithDeferredConfirm(exchange, queue, !IsDirect(queue), false, m) // mandatory, immediate
	if err != nil {
		<-o.Slots
		o.mu.Lock()
		defer o.mu.Unlock()
		return nil, fmt.Errorf("%w: %w", o.end(false), err)
	}
	return &Sent{dc, o, exchange, queue, m.MessageId, m.Body}, nil
}

// Send publishes a message on an idle outlet, and waits for its outcome. A broker that does not block may take patience to
// confirm it. If the outcome is not known in the end, the outlet cannot be used any more.
func (o *Outlet) Send(ctx context.Context, exchange, queue string, m amqp.Publishing, patience time.Duration) error {
	o.Slots <- struct{}{}
	s, err := o.Publish(exchange, queue, m)
	if err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		open, changed := o.link.Unblocked.State()
		select {
		case <-s.Done():
			return s.Outcome()
		case <-changed:
			timer.Reset(patience) // a broker confirms nothing while it blocks
		case <-timer.C:
			if open {
				return ErrUnanswered
			}
			timer.Reset(patience)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Outcome returns nil if the broker has stored the message, else why not, or ErrLine or ErrShared if that is unknown. It is
// called once, when Done is closed.
func (s *Sent) Outcome() error {
	o := s.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() { <-o.Slots }()
	// A return comes before its confirm, so it is here by now.
	for r := NonBlocking(o.returned); r.ReplyCode != 0; r = NonBlocking(o.returned) {
		o.back[returnKey{r.Exchange, r.RoutingKey, r.MessageId, maphash.Bytes(o.seed, r.Body)}]++
	}
	if len(o.back) > 0 {
		key := returnKey{s.exchange, s.queue, s.id, maphash.Bytes(o.seed, s.body)}
		if n := o.back[key]; n > 1 {
			o.back[key]--
			return ErrUnroutable
		} else if n == 1 {
			delete(o.back, key)
			return ErrUnroutable
		}
	}
	switch {
	case s.Acked():
		return nil
	case !o.Ch.IsClosed():
		return ErrNacked
	}
	return o.end(len(o.Slots) == 1)
}

// end returns why the channel was closed: the broker's reason if it was closed over the only message under way, ErrShared with
// the reason if there may be others, otherwise ErrLine. The caller holds mu.
func (o *Outlet) end(only bool) error {
	first := o.reason == nil
	if first {
		e := NonBlocking(o.closed) // may come a little after the channel is closed
		if e == nil || !e.Server || o.link.IsClosed() {
			return ErrLine
		}
		o.reason = Plain(e)
	}
	if first && only {
		return o.reason
	}
	return fmt.Errorf("%w: %w", ErrShared, o.reason)
}

// Consume starts a consumer on a queue, whose deliveries are to be acked, and waits for the broker's answer.
func Consume(ch *amqp.Channel, queue, tag string) (<-chan amqp.Delivery, error) {
	return ch.Consume(queue, tag,
		false, // autoAck
		false, // exclusive
		false, // noLocal
		false, // noWait
		nil)
}
