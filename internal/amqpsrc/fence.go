package amqpsrc

import (
	"context"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// A fenceBatch is those that wait for one synchronous call.
type fenceBatch struct {
	done chan struct{} // closed when the call has returned; never where it fails
}

// fence returns nil when all acks that were written to the session before can no longer be lost: the time
// is over that they may be on their way, and a synchronous call that was sent after that has returned, so
// that the broker has lived through it.
func (s *session) fence(ctx context.Context) error {
	timer := time.NewTimer(wire.Settling)
	defer timer.Stop()
	select {
	case <-timer.C:
		return s.alive(ctx)
	case <-s.done:
		return cmd.ErrDeliveryLost
	case <-ctx.Done():
		return ctx.Err()
	}
}

// alive returns nil when a synchronous call has returned that was sent from now on: the session, and with it its
// deliveries, were not lost by then. Many waiters share one call, which the session's owner makes.
func (s *session) alive(ctx context.Context) error {
	s.mu.Lock()
	b := s.batch
	if b == nil {
		b = &fenceBatch{done: make(chan struct{})}
		s.batch = b
	}
	s.mu.Unlock()
	select {
	case s.fences <- struct{}{}:
	default: // a token is there already; the owner takes it before it takes the batch
	}
	select {
	case <-b.done:
		return nil
	case <-s.done:
		select {
		case <-b.done: // by the last call of a session that was closed in order
			return nil
		default:
			return cmd.ErrDeliveryLost
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// barrier makes the synchronous call for those who wait now. Setting the prefetch to what it is
// changes nothing; unlike a look at the queue it cannot fail because that was deleted.
func (s *session) barrier(timeout time.Duration) error {
	s.mu.Lock()
	b := s.batch
	s.batch = nil
	s.mu.Unlock()
	err := s.link.Within(timeout, func() error { return s.ch.Qos(s.config.Prefetch, 0, false) })
	if err != nil {
		return s.why(wire.AsError(err))
	}
	if wire.NonBlocking(s.cancelled) != "" {
		// Acks that came after the cancel were not heeded.
		return wire.ErrCancelled
	}
	if b != nil {
		close(b.done)
	}
	return nil
}

// flush is a fence for all acks that were ever written, before the session is closed.
func (s *session) flush() error {
	if err := s.barrier(wire.CloseTimeout); err != nil {
		return err
	}
	timer := time.NewTimer(wire.Settling)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return nil
		case e := <-s.chClosed:
			return s.why(e)
		case e := <-s.link.Closed:
			return s.why(e)
		}
	}
}
