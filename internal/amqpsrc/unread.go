package amqpsrc

import (
	"context"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// setAside keeps a delivery whose body was not read for lack of room, and reports whether it was one.
func (s *session) setAside(d amqp.Delivery) bool {
	size, unread := s.account.Unread(d)
	if unread {
		s.source.cfg.Log.Debug("a message that is too large waits until others of its kind are dealt with", "bytes", size)
		s.unread = append(s.unread, d)
	}
	return unread
}

// askAgain requeues the first unread delivery once room for it is reserved, because each return counts towards a
// delivery limit. It returns a channel that is closed when the next may be requeued, or nil if none is unread.
func (s *session) askAgain(late *time.Timer) (freed <-chan struct{}, err error) {
	for len(s.unread) > 0 {
		size, _ := s.account.Unread(s.unread[0])
		ok, freed := s.account.Reserve(size)
		if !ok {
			return freed, nil
		}
		late.Reset(wire.ReservedFor)
		if err := s.giveBack(); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// giveBack requeues the first unread delivery.
func (s *session) giveBack() error {
	d := s.unread[0]
	s.unread = s.unread[1:]
	s.release(d.DeliveryTag)
	if err := d.Nack(false, true); err != nil { // multiple, requeue
		return s.why(wire.AsError(err))
	}
	return nil
}

// keeps reports whether the consumer is kept although a gate is closed, because it has unacked deliveries, and the gate may open soon:
// see Config.Keep. What the broker sends meanwhile waits, unread.
func (s *session) keeps(open bool) bool {
	switch {
	case open && s.shut.IsZero():
		return false
	case open:
		s.shut = time.Time{}
		return false
	}
	if s.shut.IsZero() {
		s.shut = time.Now()
		s.shutLong.Reset(s.source.cfg.Keep)
	}
	return s.window.Unsettled() > 0 && time.Since(s.shut) < s.source.cfg.Keep
}

// takeBack cancels the consumer, adds to next all that the broker had sent before the cancel, and
// requeues the unread. Earlier deliveries stay ours too, and can be acked on this channel.
func (s *session) takeBack(ctx context.Context, next *[]intake.Job) error {
	s.source.awaited.set(time.Time{}, false)
	if s.deliveries != nil {
		if err := s.drain(s.stop(ctx), next); err != nil {
			return err
		}
	}
	s.account.Unreserve()
	for len(s.unread) > 0 {
		if err := s.giveBack(); err != nil {
			return err
		}
	}
	return nil
}
