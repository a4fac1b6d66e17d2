package amqpsrc

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// renewAfter is how long after a delivery of an earlier consumer is settled its place goes to a new consumer, unless a quarter
// of the prefetch is free before. The broker cannot change the prefetch of a consumer. Without the delay a busy queue would cost three
// calls for each job.
const renewAfter = 100 * time.Millisecond

// consume starts a consumer, each time with a tag that the channel has not seen. Its prefetch is what the unsettled
// deliveries of earlier consumers leave: the broker counts each consumer by itself. If they leave nothing, consume does nothing.
func (s *session) consume(ctx context.Context) error {
	s.renewDue.Stop()
	s.due = false
	s.freed.Store(0)
	s.earlier.Store(s.last) // before the count: a delivery that is settled after it sets renewDue
	left := s.source.cfg.Prefetch - s.window.Unsettled()
	if left <= 0 { // the broker takes a prefetch of 0 for no limit
		return nil
	}
	s.tags++
	s.tag = "docker-dispatch-" + strconv.Itoa(s.tags)
	err := s.link.Until(ctx, wire.RPCTimeout, func() (err error) {
		if left != s.prefetch {
			if err := s.ch.Qos(left, 0, false); err != nil {
				return err
			}
			s.prefetch = left
		}
		s.deliveries, err = wire.Consume(s.ch, s.source.cfg.source(), s.tag)
		return err
	})
	if err != nil {
		s.deliveries = nil
		return wire.ExplainQueue(err, s.source.cfg.source(), fmt.Sprintf("read permission on queue %q, to consume from it", s.source.cfg.source()))
	}
	if since, _ := s.source.awaited.get(); since.IsZero() { // else the consumer only replaces another
		s.since = time.Now()
		s.source.awaited.set(s.since, false)
	}
	if !s.source.worked {
		s.source.cfg.Log.Info("taking messages", "broker", wire.Redact(s.source.cfg.URL), "queue", s.source.cfg.source(), "prefetch", s.source.cfg.Prefetch)
	}
	s.source.worked = true
	s.source.report.Well()
	return nil
}

// renew cancels the consumer if it has no place left. serve then consumes anew, with the places that earlier consumers have left.
//
// The order of messages stays: a quorum queue takes back deliveries that are under way when it cancels their consumer, and the next
// consumer may get later messages first (seen on 3.10). A consumer without a place has none under way, and gets none while
// renewing is locked.
func (s *session) renew(ctx context.Context, next *[]intake.Job) error {
	s.renewing.Lock()
	if s.deliveries == nil || s.window.Unsettled()+int(s.freed.Load()) < s.source.cfg.Prefetch {
		s.renewing.Unlock()
		return nil
	}
	err := s.stop(ctx)
	s.renewing.Unlock()
	return s.drain(err, next)
}

// stop asks the broker to cancel the consumer, and waits for the answer. Without it the deliveries under way would be dropped, and
// stay unacked.
func (s *session) stop(ctx context.Context) error {
	return s.link.Until(ctx, wire.RPCTimeout, func() error { return s.ch.Cancel(s.tag, false) })
}

// drain adds to next all that the broker had sent before it cancelled the consumer. err is the error of stop.
func (s *session) drain(err error, next *[]intake.Job) error {
	if err != nil {
		return s.why(wire.AsError(err))
	}
	for d := range s.deliveries {
		s.take(d, next)
	}
	s.deliveries = nil
	if wire.NonBlocking(s.cancelled) != "" {
		return wire.ErrCancelled
	}
	return nil
}

// release gives the place of a delivery back, before the broker is told that the delivery is settled. The broker gives it to the
// delivery's consumer. If that was cancelled, a new consumer gets it.
func (s *session) release(tag uint64) {
	s.renewing.RLock()
	defer s.renewing.RUnlock()
	s.window.Settled()
	if tag > s.earlier.Load() {
		return
	}
	switch s.freed.Add(1) {
	case max(2, int64(s.source.cfg.Prefetch)/4):
		s.renewDue.Reset(0)
	case 1:
		s.renewDue.Reset(renewAfter)
	}
}
