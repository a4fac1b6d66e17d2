package publish

import (
	"context"
	"errors"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
)

const (
	// window is how many messages of a stream may be unconfirmed, and windowBytes limits the size of their bodies.
	// That keeps the broker busy, and is little enough to be sent again.
	window      = 64
	windowBytes = 1 << 20
)

// A stream is a sequence of messages to one reply_to. Many may be unconfirmed at a time. If the connection ends,
// or the broker cannot store a message, that message and all later ones are sent again. A client may receive a
// message twice, or receive later ones before a missing one, but in the end it has received all in order.
type stream struct {
	Replier
	in      chan amqp.Publishing
	flushes chan chan struct{}
	stop    context.CancelFunc
	over    chan struct{} // closed when run has ended

	// Only run uses these.
	sent  []sent // unconfirmed messages, oldest first
	bytes int    // size of their bodies
	apart bool   // the broker may have closed a lane over one of them
	gone  bool   // the reply_to takes no messages: they are dropped
}

// sent is a message that the broker has not confirmed.
type sent struct {
	message   amqp.Publishing
	published *wire.Sent // nil: not published on this lane
}

// Stream opens a stream. See intake.Job.Stream.
func (r Replier) Stream() output.Stream {
	ctx, stop := context.WithCancel(context.Background())
	s := &stream{
		Replier: r,
		in:      make(chan amqp.Publishing),
		flushes: make(chan chan struct{}),
		stop:    stop,
		over:    make(chan struct{}),
	}
	r.publisher.work.Go(func() {
		defer close(s.over)
		s.run(ctx)
	})
	return s
}

// Send implements output.Stream.
func (s *stream) Send(ctx context.Context, job, what string, body []byte) error {
	return hand(ctx, s.over, s.in, s.event(job, what, body))
}

// Flush implements output.Stream.
func (s *stream) Flush(ctx context.Context) error {
	done := make(chan struct{})
	if err := hand(ctx, s.over, s.flushes, done); err != nil {
		return err
	}
	_, err := await(ctx, s.over, done)
	return err
}

// Close implements output.Stream.
func (s *stream) Close() { s.stop() }

// run sends the stream's messages, over one connection after the other, until ctx ends.
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
	for wait := new(wire.Backoff); ; {
		began := time.Now()
		err := s.connected(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > wire.LongEnough {
			wait.Reset()
		}
		p.log.Debug("stream of a reply interrupted", "job", s.messageID, "error", err)
		switch {
		case errors.Is(err, wire.ErrShared):
			s.apart = true
		case errors.Is(err, wire.ErrLine) && len(s.sent) > 0:
			p.Suspect(s.to)
		case errors.Is(err, errMalformed), p.refusals.vain(s.to, err):
			s.drop(err)
		}
		if delay.Sleep(ctx, wait.Next()) != nil {
			return
		}
	}
}

// connected serves the stream on a lane, until the lane fails or ctx ends.
func (s *stream) connected(ctx context.Context) error {
	if err := s.oneByOne(ctx); err != nil {
		return err
	}
	l, err := s.publisher.current(ctx)
	if err != nil {
		return err
	}
	lane, err := l.lane(ctx, s.to)
	if err != nil {
		return err
	}
	err = s.serve(ctx, l, lane)
	s.leave()
	if errors.Is(err, wire.ErrUnanswered) {
		// Unconfirmed messages would hold their slots for ever. Other streams on the lane send theirs again.
		_ = l.call(context.WithoutCancel(ctx), lane.Ch.Close)
	}
	return err
}

// oneByOne sends unconfirmed messages, each alone on a channel until it is confirmed, while one of them may be to blame for
// the end of a lane or a connection. An error of the broker then concerns that message.
func (s *stream) oneByOne(ctx context.Context) error {
	p := s.publisher
	for len(s.sent) > 0 && (s.apart || p.refusals.suspected(s.to)) {
		k := keeping{queue: s.to, reply: true, message: func(int) amqp.Publishing { return s.sent[0].message }}
		err := p.attempt(ctx, k, func() bool { return true })
		switch {
		case errors.Is(err, wire.ErrUnroutable):
			s.drop(err)
		case err != nil:
			return err
		default:
			p.refusals.stored(s.to)
			s.stored()
		}
	}
	s.apart = false
	return nil
}

// serve publishes on a lane, beginning with the messages that were sent before and are not confirmed.
func (s *stream) serve(ctx context.Context, l *line, lane *wire.Outlet) error {
	written := 0 // how many of sent are published
	refusals := &s.publisher.refusals
	timer := time.NewTimer(refusals.patience(s.to))
	defer timer.Stop()
	for {
		unblocked, changed := l.link.Unblocked.State()
		// Ask for a slot only if there is a message for it, and take confirms meanwhile: they free slots.
		var in <-chan amqp.Publishing
		var slot chan<- struct{}
		switch {
		case !unblocked:
		case written < len(s.sent):
			slot = lane.Slots
		case len(s.sent) < window && s.bytes < windowBytes:
			in = s.in
		}
		var confirmed <-chan struct{}
		flushes := s.flushes
		if len(s.sent) > 0 {
			flushes = nil
		}
		if written > 0 {
			confirmed = s.sent[0].published.Done()
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
		case slot <- struct{}{}:
			m := &s.sent[written]
			var err error
			if m.published, err = lane.Publish("", s.to, m.message); err != nil {
				return err
			}
			written++
		case <-confirmed:
			err := s.sent[0].published.Outcome()
			s.sent[0].published = nil
			switch {
			case errors.Is(err, wire.ErrUnroutable):
				s.leave()
				s.drop(err)
				written = 0
			case err != nil:
				return err
			default:
				refusals.stored(s.to)
				s.stored()
				written--
			}
			timer.Reset(impatience)
		case done := <-flushes:
			close(done)
		case <-changed:
			timer.Reset(impatience) // a broker confirms nothing while it blocks
		case <-timer.C:
			if len(s.sent) > 0 && unblocked {
				return wire.ErrUnanswered
			}
			timer.Reset(impatience)
		case <-l.over:
			return wire.ErrLine
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leave stops waiting for the confirms of a lane. Each message frees its slot when its outcome is known: at the latest when the
// channel is closed, with its connection.
func (s *stream) leave() {
	var left []*wire.Sent
	for i := range s.sent {
		if m := &s.sent[i]; m.published != nil {
			left = append(left, m.published)
			m.published = nil
		}
	}
	s.publisher.work.Go(func() {
		for _, m := range left {
			<-m.Done()
			_ = m.Outcome()
		}
	})
}

// stored removes the oldest message, which the broker has stored.
func (s *stream) stored() {
	s.bytes -= len(s.sent[0].message.Body)
	s.sent[0] = sent{} // the array would keep its body in memory
	s.sent = s.sent[1:]
}

func (s *stream) add(m amqp.Publishing) {
	s.sent = append(s.sent, sent{message: m})
	s.bytes += len(m.Body)
}

// drop logs err, and drops all messages of the stream from now on.
func (s *stream) drop(err error) {
	s.gone, s.sent, s.bytes = true, nil, 0
	s.publisher.unheard(s.Replier, err)
}
