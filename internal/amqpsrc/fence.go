package amqpsrc

import (
	"context"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// settling is how long a quorum queue may hold acks back in the channel's process; an ack that is
// still there when the channel closes is lost. Seen on 3.10, 4.0 and 4.3: 50 ms were enough.
const settling = 100 * time.Millisecond

// A fenceBatch is those that wait for one synchronous call.
type fenceBatch struct {
	done chan struct{} // closed when the call has returned; never where it fails
}

// fence returns nil when all acks that were written to the session before can no longer be lost: a
// synchronous call that was sent after them has returned, and the time is over for which a quorum
// queue holds acks back. Many waiters share one call, which the session's owner makes.
func (s *session) fence(ctx context.Context) error {
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
	case <-s.done:
		return s.fenceAtEnd(b)
	case <-ctx.Done():
		return ctx.Err()
	}
	timer := time.NewTimer(settling)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.done:
		return s.fenceAtEnd(b)
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.over() {
		return s.fenceAtEnd(b)
	}
	return nil
}

// fenceAtEnd is the answer where the session ended while one waited. A session that Close ended did
// its last call after b was made, or b would not have been done, and waited.
func (s *session) fenceAtEnd(b *fenceBatch) error {
	select {
	case <-b.done:
		if s.flushed {
			return nil
		}
	default:
	}
	return cmd.ErrDeliveryLost
}

// barrier makes the synchronous call for those who wait now. Setting the prefetch to what it is
// changes nothing; unlike a look at the queue it cannot fail because that was deleted.
func (s *session) barrier(timeout time.Duration) error {
	s.mu.Lock()
	b := s.batch
	s.batch = nil
	s.mu.Unlock()
	err := s.link.within(timeout, func() error { return s.ch.Qos(s.config.Prefetch, 0, false) })
	if err != nil {
		return s.why(asError(err))
	}
	if nonBlocking(s.cancelled) != "" {
		// Acks that came after the cancel were not heeded.
		return errCancelled
	}
	if b != nil {
		close(b.done)
	}
	return nil
}

// flush is a fence for all acks that were ever written, before the session is closed.
func (s *session) flush() error {
	if err := s.barrier(closeTimeout); err != nil {
		return err
	}
	timer := time.NewTimer(settling)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			s.flushed = true
			return nil
		case e := <-s.chClosed:
			return s.why(e)
		case e := <-s.link.closed:
			return s.why(e)
		}
	}
}
