package amqpsrc

import (
	"context"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A look is a question after the queue, which the owner of the session answers.
type look struct {
	consumed time.Duration
	answer   chan bool
}

// Quiet tells whether the queue has been consumed without a break for at least that long, by nobody else,
// and now has no message left that has not been handed over. Where that cannot be learned it has not.
func (s *Source) Quiet(ctx context.Context, consumed time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, rpcTimeout)
	defer cancel()
	l := look{consumed, make(chan bool, 1)}
	select {
	case s.looks <- l:
	case <-ctx.Done():
		return false
	}
	select {
	case quiet := <-l.answer:
		return quiet
	case <-ctx.Done():
		return false
	}
}

// quiet answers a look.
func (s *session) quiet(consumed time.Duration) (quiet bool, err error) {
	if s.deliveries == nil || time.Since(s.since) < consumed {
		return false, nil
	}
	err = s.link.on(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(s.config.Queue, true, false, false, false, nil) // the flags are not looked at
		if code(err) == amqp.AccessRefused {
			// RabbitMQ 4.2.6 and 4.3.0 want the configure permission for a look.
			s.log.Warn("containers that a crash left behind cannot be swept: the broker does not say whether the queue is empty", "error", plain(err))
			return errSkip
		}
		quiet = q.Messages == 0 && q.Consumers <= 1 // another may hold any of its messages
		return err
	})
	if err != nil {
		return false, s.why(asError(err))
	}
	// What the broker has sent and was not handed over is not in its count.
	return quiet && len(s.deliveries) == 0, nil
}
