package amqpsrc

import (
	"context"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// A look is a question after the queue, which the owner of the session answers.
type look struct {
	consumed time.Duration
	answer   chan seen
}

// seen is the answer.
type seen struct {
	quiet   bool
	session *session
	taken   int // deliveries that the session has taken so far
	at      cmd.Place
}

// underWay is how long a message that the broker has sent may be on its way to us.
const underWay = time.Second

// Quiet tells whether the queue has been consumed without a break for at least that long, by nobody else,
// and now has no message left that has not been handed over; and where it is. Where that cannot be learned it has not.
func (s *Source) Quiet(ctx context.Context, consumed time.Duration) (at cmd.Place, quiet bool) {
	first := s.look(ctx, consumed)
	// What the broker has sent is not in its count, and nobody knows of it before it comes.
	if !first.quiet || !wire.Sleep(ctx, underWay) {
		return cmd.Place{}, false
	}
	second := s.look(ctx, consumed)
	return second.at, first == second
}

func (s *Source) look(ctx context.Context, consumed time.Duration) seen {
	ctx, cancel := context.WithTimeout(ctx, wire.RPCTimeout)
	defer cancel()
	l := look{consumed, make(chan seen, 1)}
	select {
	case s.looks <- l:
	case <-ctx.Done():
		return seen{}
	}
	select {
	case answer := <-l.answer:
		return answer
	case <-ctx.Done():
		return seen{}
	}
}

// quiet tells whether the broker has nothing in the queue that it has not sent to us. The consumer of a session that
// lingers has ended; what would come again stays in the queue.
func (s *session) quiet(consumed time.Duration, lingering bool) (quiet bool, err error) {
	own := 1
	if lingering {
		own = 0
	}
	if s.since.IsZero() || s.deliveries == nil && !lingering || time.Since(s.since) < consumed {
		return false, nil
	}
	err = s.link.On(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(s.config.Queue, true, false, false, false, nil) // the flags are not looked at
		if wire.Code(err) == amqp.AccessRefused {
			// RabbitMQ 4.2.6 and 4.3.0 want the configure permission for a look.
			s.log.Warn("containers that a crash left behind cannot be swept: the broker does not say whether the queue is empty", "error", wire.Plain(err))
			return wire.ErrSkip
		}
		quiet = q.Messages == 0 && q.Consumers <= own // another may hold any of its messages
		return err
	})
	if err != nil {
		return false, s.why(wire.AsError(err))
	}
	return quiet, nil
}
