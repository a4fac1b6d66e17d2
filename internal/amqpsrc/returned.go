package amqpsrc

import (
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// warnReturned warns from return number limit-lastReturns on; the broker drops the message at return number limit+1. If the
// limit is unknown, it warns only at return number nearLimit: the limit may be RabbitMQ's default, 20.
const (
	lastReturns = 5
	nearLimit   = 20 - lastReturns
)

// warnReturned logs that the broker may soon drop a message, because it was returned often.
func (s *session) warnReturned(d amqp.Delivery) {
	// If the message is not redelivered, its publisher may have written x-delivery-count.
	if n := wire.Count(d.Headers["x-delivery-count"]); d.Redelivered && (n == s.near || n > s.near && s.limit >= 0) {
		what := "a message was returned often; the broker drops it at the queue's delivery limit, if that has one (20 by default since RabbitMQ 4.0)"
		if s.limit > n {
			what = fmt.Sprintf("a message was returned often; the broker drops it at its return number %d", s.limit+1)
		} else if s.limit >= 0 {
			what = "the broker drops this message at its next return: if docker-dispatch stops, or loses its connection, before the job has ended, a container that has started runs on, and nobody gets its result"
		}
		s.source.cfg.Log.Warn(what, "job", d.MessageId, "queue", s.source.cfg.source(), "returned", n, "hint", "use a queue without a limit: --declare quorum makes one")
	}
}
