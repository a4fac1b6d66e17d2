package amqpsrc

import (
	"cmp"
	"context"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// Headers of a message that is to be tried again. Like those of a dead letter they are ours.
const (
	headerAttempt = headerPrefix + "attempt" // which attempt the message is, from 2
	headerJob     = headerPrefix + "job"     // the job's id, for a message without message_id
)

// delayQueue is the queue in which messages of this one wait that long. It is a quorum queue, for only
// these hand a message on before they forget it (dead-letter-strategy at-least-once). It does not expire: what
// cannot be handed on for now would go with it.
func delayQueue(queue string, delay time.Duration) (name string, args amqp.Table) {
	return fmt.Sprintf("%s.retry.%d", queue, int64(delay/time.Second)), amqp.Table{
		amqp.QueueTypeArg:           amqp.QueueTypeQuorum,
		"x-message-ttl":             int64(delay / time.Millisecond),
		"x-dead-letter-exchange":    "",
		"x-dead-letter-routing-key": queue,
		"x-dead-letter-strategy":    "at-least-once",
		amqp.QueueOverflowArg:       amqp.QueueOverflowRejectPublish,
	}
}

// again keeps a copy of a message in the queue of a delay, from where the broker puts it back into its
// own. See cmd.Job.Again.
func (p *publisher) again(ctx context.Context, d amqp.Delivery, delay time.Duration, attempt int, id string, lost func() bool) error {
	queue, args := delayQueue(p.config.Queue, delay)
	ours := amqp.Table{headerAttempt: int32(attempt)}
	if c := copyOf(d, p.config.Queue); c != "" {
		ours[headerCopy] = c
	}
	if d.MessageId == "" {
		ours[headerJob] = clip(id, 255)
	}
	k := keeping{
		what: "message to be tried again", queue: queue, fresh: true, young: func() time.Duration { return p.young(queue) },
		declare: func(l *line) error {
			began := time.Now()
			_, missing := l.link.declare(queue, nil)
			note, err := l.link.declare(queue, args)
			if err == nil && isNoQueue(missing) {
				p.made(queue)
			}
			if note != "" {
				// It would keep the message, or send it elsewhere.
				return fmt.Errorf("queue %q, in which messages wait to be tried again, has other arguments; delete it when it is empty: %s", queue, note)
			}
			if code(err) == amqp.AccessRefused {
				return fmt.Errorf("the user has no configure permission on queue %q, in which messages wait to be tried again: %s", queue, reason(err))
			}
			if err != nil && time.Since(began) >= rpcTimeout {
				err = fmt.Errorf("queue %q, in which messages wait to be tried again, does not answer; a broker that was killed right after it was made can leave it so, and it is to be deleted then: %w", queue, plain(err))
			}
			return err
		},
		message: func(frameMax int) amqp.Publishing { return copyWith(d, ours, frameMax) }, lost: lost,
	}
	return p.keep(ctx, d.MessageId, k)
}

// infancy is how long a quorum queue and what is in it can be gone for good when the broker is killed, for all
// its confirms (seen on 3.10 and 4.0 with one node, up to a second).
const infancy = 5 * time.Second

// made records that a queue did not exist before.
func (p *publisher) made(queue string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.births == nil {
		p.births = make(map[string]time.Time)
	}
	p.births[queue] = time.Now()
}

// young returns how long a queue is not to be trusted yet.
func (p *publisher) young(queue string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return infancy - time.Since(p.births[queue])
}

// attempt reads which attempt of which job a message is. Who can publish can claim any, and gains nothing.
// One that was rejected and sent again begins anew.
func attempt(d amqp.Delivery, queue string) (n int, id string) {
	id = d.MessageId
	if rejection(d, queue) != "" {
		return 1, id
	}
	v, ok := number(d.Headers[headerAttempt], 2, message.MaxAttempt)
	if !ok {
		return 1, id
	}
	return int(v), cmp.Or(id, text(d.Headers[headerJob]))
}
