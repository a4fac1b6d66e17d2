package amqpsrc

import (
	"context"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A look is a question about the queue, which the owner of the session answers.
type look struct {
	consumed time.Duration
	answer   chan seen
}

// seen is the answer to a look.
type seen struct {
	quiet   bool
	session *session
	taken   int // deliveries that the session has received so far
	at      intake.Place
}

// underWay is how long a message that the broker has sent is given to arrive.
const underWay = time.Second

// Quiet reports whether the queue was consumed without a break for at least consumed. Also, it must have no other
// consumer, and no message left that was not handed over. at is its place. If Quiet cannot find out, it returns false.
//
// If several hosts share the queue, others consume it too, and forward the messages that concern this host. Then this host's queues
// must be quiet as well.
func (s *Source) Quiet(ctx context.Context, consumed time.Duration) (at intake.Place, quiet bool) {
	first := s.lookAll(ctx, consumed)
	// The broker's count leaves out messages that are on their way to us: look again, whether one has come meanwhile.
	if slices.ContainsFunc(first, func(s seen) bool { return !s.quiet }) || delay.Sleep(ctx, underWay) != nil {
		return intake.Place{}, false
	}
	second := s.lookAll(ctx, consumed)
	return second[0].at, slices.Equal(first, second)
}

// lookAll looks at the queue and the host's queues.
func (s *Source) lookAll(ctx context.Context, consumed time.Duration) []seen {
	all := []seen{s.look(ctx, consumed)}
	if s.hosts != nil {
		for _, queue := range s.hosts.queues() {
			all = append(all, queue.look(ctx, consumed))
		}
	}
	return all
}

func (s *Source) look(ctx context.Context, consumed time.Duration) (answer seen) {
	ctx, cancel := context.WithTimeout(ctx, wire.RPCTimeout)
	defer cancel()
	l := look{consumed, make(chan seen, 1)}
	select {
	case s.looks <- l:
		select {
		case answer = <-l.answer:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	return answer
}

// answer answers a look. held is how many messages were received and not handed over. A lingering session has no consumer:
// messages that would be redelivered stay in the queue.
func (s *session) answer(l look, held int, lingering bool) error {
	quiet, err := s.quiet(l.consumed, lingering)
	l.answer <- seen{quiet && held == 0, s, s.taken, s.link.Place}
	return err
}

// quiet reports whether the queue holds nothing that the broker has not sent to us.
func (s *session) quiet(consumed time.Duration, lingering bool) (quiet bool, err error) {
	own := 1
	if lingering {
		own = 0
	}
	if s.since.IsZero() || (!s.shut.IsZero() || s.deliveries == nil) && !lingering || time.Since(s.since) < consumed {
		return false, nil
	}
	err = s.link.On(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(s.source.cfg.source(), true, false, false, false, nil) // the broker ignores the flags
		if wire.Code(err) == amqp.AccessRefused {
			// RabbitMQ 4.2.6 and 4.3.0 require the configure permission for a passive declare.
			s.source.untold.Do(func() {
				s.source.cfg.Log.Warn("the broker does not say whether the queue is empty: a finished job whose message is lost waits until docker-dispatch ends, and containers that a crash left behind are not swept",
					"queue", s.source.cfg.source(), "error", wire.Plain(err), "hint", "give the user the configure permission on the queue")
			})
			return wire.ErrSkip
		}
		quiet = q.Messages == 0 && (q.Consumers <= own || s.source.hosts != nil) // another consumer may hold any message
		return err
	})
	if err != nil && s.link.IsClosed() {
		return false, s.why(wire.AsError(err))
	}
	// The error of a channel of its own does not mean that the broker has requeued this session's messages.
	return quiet && err == nil, wire.ExplainQueue(err, s.source.cfg.source(), "permission")
}
