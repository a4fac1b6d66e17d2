package amqpsrc

import (
	"context"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// callGap is the least time between two calls for waiters. Without it, a busy queue costs the broker a call for every second
// job. A waiter that comes later after the last call has its call at once.
const callGap = 4 * time.Millisecond

// A fenceBatch is the waiters for one synchronous call.
type fenceBatch struct {
	done chan struct{} // closed when the call has succeeded; never if it fails
}

// fence returns nil when all acks written to the session before fence can no longer be lost. It waits for
// wire.Settling, then for a synchronous call, which shows that the broker has survived that time. If the broker may hold
// acks back, fence does so several times.
func (s *session) fence(ctx context.Context) error {
	written := s.acks.Load()
	for range s.rounds() {
		select {
		case <-time.After(wire.Settling):
		case <-s.done:
			return intake.ErrDeliveryLost
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.alive(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fenced = max(s.fenced, written)
	return nil
}

// rounds returns how often wire.Settling is to pass before the acks that no fence has waited for are in the queue's log.
func (s *session) rounds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(1, wire.SettlingRounds(int(s.acks.Load()-s.fenced)))
}

// alive returns nil when a synchronous call sent after alive began has returned. The session and its
// deliveries were not lost by then. Many waiters share one call, which the session's owner makes.
func (s *session) alive(ctx context.Context) error {
	s.mu.Lock()
	b := s.batch
	if b == nil {
		b = &fenceBatch{done: make(chan struct{})}
		s.batch = b
		s.callDue.Reset(time.Until(s.called.Add(callGap)))
	}
	s.mu.Unlock()
	select {
	case <-b.done:
		return nil
	case <-s.done:
		select {
		case <-b.done: // by the last call of a session that was closed in order
			return nil
		default:
			return intake.ErrDeliveryLost
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// barrier makes the synchronous call for the present waiters. The call sets the prefetch to its present
// value. Unlike a passive declare it cannot fail because the queue was deleted.
func (s *session) barrier(ctx context.Context, timeout time.Duration) error {
	s.mu.Lock()
	b := s.batch
	s.batch, s.called = nil, time.Now()
	s.mu.Unlock()
	err := s.link.Until(ctx, timeout, func() error { return s.ch.Qos(s.prefetch, 0, false) })
	if err != nil {
		return s.why(wire.AsError(err))
	}
	if wire.NonBlocking(s.cancelled) != "" {
		// The broker ignored acks that came after the cancel.
		return wire.ErrCancelled
	}
	if b != nil {
		close(b.done)
	}
	return nil
}

// flush returns nil when no ack written to the session can be lost, before the session is closed.
func (s *session) flush() error {
	if err := s.barrier(context.Background(), wire.CloseTimeout); err != nil {
		return err
	}
	timer := time.NewTimer(time.Duration(s.rounds()) * wire.Settling)
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
