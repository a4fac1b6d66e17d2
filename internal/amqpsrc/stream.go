package amqpsrc

import (
	"context"
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// window is how many messages of a stream may be unconfirmed, and windowBytes how much they may hold
	// together: enough to keep the broker at work, and little enough to be sent again.
	window      = 64
	windowBytes = 1 << 20
)

// A stream publishes messages to one reply_to, in their order. Many may be unconfirmed at a time. When the
// connection ends, or the broker could not store one, that and all behind it are sent again: a receiver
// may see a message twice, and what lies beyond a gap, but all of it in order in the end.
type stream struct {
	replier
	in      chan amqp.Publishing
	flushes chan chan<- struct{}
	stop    context.CancelFunc
	over    chan struct{} // closed when run has ended

	// Only run uses these.
	sent  []sent // the unconfirmed, oldest first
	bytes int    // that their bodies hold
	gone  bool   // nobody takes the messages: they are dropped
}

// sent is a message that the broker has not confirmed.
type sent struct {
	message amqp.Publishing
	confirm *amqp.DeferredConfirmation
}

// stream opens a stream. See cmd.Job.Stream.
func (r replier) stream() cmd.Stream {
	ctx, stop := context.WithCancel(context.Background())
	s := &stream{
		replier: r,
		in:      make(chan amqp.Publishing),
		flushes: make(chan chan<- struct{}),
		stop:    stop,
		over:    make(chan struct{}),
	}
	r.publisher.streams.Go(func() {
		defer close(s.over)
		s.run(ctx)
	})
	return s
}

// Send implements cmd.Stream.
func (s *stream) Send(ctx context.Context, job, what string, body []byte) error {
	return hand(ctx, s, s.in, s.event(job, what, body))
}

// Flush implements cmd.Stream.
func (s *stream) Flush(ctx context.Context) error {
	done := make(chan struct{})
	if err := hand(ctx, s, s.flushes, chan<- struct{}(done)); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-s.over:
		return errLine
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close implements cmd.Stream.
func (s *stream) Close() { s.stop() }

// hand gives v to run.
func hand[T any](ctx context.Context, s *stream, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-s.over:
		return errLine
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run sends what comes, over one connection after the other.
func (s *stream) run(ctx context.Context) {
	for len(s.sent) == 0 { // a job that does not begin needs no channel
		select {
		case m := <-s.in:
			s.add(m)
		case done := <-s.flushes:
			close(done)
		case <-ctx.Done():
			return
		}
	}
	p := s.publisher
	for wait := reconnecting(); ; {
		err := s.connected(ctx)
		if ctx.Err() != nil {
			return
		}
		p.log.Debug("stream of a reply interrupted", "message_id", s.messageID, "error", err)
		switch {
		case errors.Is(err, errLine) && len(s.sent) > 0:
			p.suspects.add(s.to)
		case errors.Is(err, errMalformed), p.refusals.vain(s.to, err):
			s.drop(err)
		}
		if !sleep(ctx, wait.next()) {
			return
		}
	}
}

// connected opens an outlet and serves the stream there, until that is of no more use.
func (s *stream) connected(ctx context.Context) error {
	if len(s.sent) > 0 && s.publisher.suspects.has(s.to) {
		first := s.sent[0].message
		if err := s.publisher.alone(ctx, s.to, func(int) amqp.Publishing { return first }, func() bool { return true }); err != nil {
			return err
		}
		s.publisher.refusals.stored(s.to)
		s.stored()
	}
	l, err := s.publisher.current(ctx)
	if err != nil {
		return err
	}
	var o *outlet
	err = l.call(ctx, func(l *line) (err error) {
		o, err = l.open(window)
		return err
	})
	if err != nil {
		return err
	}
	err = s.serve(ctx, l, o)
	// Not ctx: else the channel would stay open. It goes with the connection at the latest.
	_ = l.call(context.WithoutCancel(ctx), func(l *line) error { return l.link.within(rpcTimeout, o.ch.Close) })
	return err
}

// serve publishes on an outlet, first what was sent before and is not confirmed.
func (s *stream) serve(ctx context.Context, l *line, o *outlet) error {
	for i := range s.sent {
		if err := s.write(l, o, &s.sent[i]); err != nil {
			return err
		}
	}
	refusals := &s.publisher.refusals
	timer := time.NewTimer(refusals.patience(s.to))
	defer timer.Stop()
	for {
		unblocked, changed := l.unblocked.State()
		in, flushes := s.in, s.flushes
		var confirmed <-chan struct{}
		if len(s.sent) > 0 {
			confirmed, flushes = s.sent[0].confirm.Done(), nil
		}
		if !unblocked || len(s.sent) == window || s.bytes >= windowBytes {
			in = nil
		}
		select {
		case m := <-in:
			if s.gone {
				continue
			}
			if len(s.sent) == 0 {
				timer.Reset(refusals.patience(s.to))
			}
			s.add(m)
			if err := s.write(l, o, &s.sent[len(s.sent)-1]); err != nil {
				return err
			}
		case <-confirmed:
			err, clean := l.outcome(o, s.sent[0].confirm)
			switch {
			case errors.Is(err, errUnroutable):
				s.drop(err)
			case err != nil:
				return err
			default:
				refusals.stored(s.to)
				s.stored()
			}
			if !clean {
				return errLine
			}
			timer.Reset(impatience)
		case done := <-flushes:
			close(done)
		case <-changed:
			timer.Reset(impatience) // it has confirmed nothing while it blocked
		case <-timer.C:
			if len(s.sent) > 0 && unblocked {
				return errUnanswered
			}
			timer.Reset(impatience)
		case <-l.over:
			return errLine
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// stored forgets the oldest message.
func (s *stream) stored() {
	s.bytes -= len(s.sent[0].message.Body)
	s.sent[0] = sent{} // the array outlives it
	s.sent = s.sent[1:]
}

func (s *stream) add(m amqp.Publishing) {
	s.sent = append(s.sent, sent{message: m})
	s.bytes += len(m.Body)
}

func (s *stream) write(l *line, o *outlet, m *sent) (err error) {
	m.confirm, err = l.write(o, s.to, m.message)
	return err
}

// drop ends the sending: nobody takes it.
func (s *stream) drop(err error) {
	s.gone, s.sent, s.bytes = true, nil, 0
	s.publisher.unheard(s.replier, err)
}
