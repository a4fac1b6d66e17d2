package publish

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// delayQueue returns the name and arguments of the queue in which messages of queue wait for delay. Only a quorum
// queue forwards a message before it removes it (dead-letter-strategy at-least-once). The queue does not expire:
// messages that cannot be forwarded for now would be lost with it.
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

// DelayQueues returns the queues in which messages have waited for their next attempt. They are few, as delays are rounded.
func (p *Publisher) DelayQueues() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.births))
}

// Again stores a copy of a message in the queue of a delay. After the delay the broker moves the copy to the
// queue of the jobs. See intake.Job.Again.
func (p *Publisher) Again(ctx context.Context, d amqp.Delivery, delay time.Duration, attempt int, id string, lost func() bool) error {
	return p.later(ctx, d, delay, id, lost, amqp.Table{wire.HeaderAttempt: int32(attempt)})
}

// PutBack is Again for the same attempt of a message from the queue from. See intake.Job.PutBack.
func (p *Publisher) PutBack(ctx context.Context, d amqp.Delivery, from string, delay time.Duration, id string, lost func() bool) error {
	attempt, _ := Attempt(d, from)
	n, since := Waits(d, from)
	return p.later(ctx, d, delay, id, lost, amqp.Table{
		wire.HeaderAttempt: int32(attempt), wire.HeaderWaits: int32(min(n+1, math.MaxInt32)), wire.HeaderSince: since.Unix(),
	})
}

// later is Again for a copy with those headers of ours.
func (p *Publisher) later(ctx context.Context, d amqp.Delivery, delay time.Duration, id string, lost func() bool, ours amqp.Table) error {
	queue, args := delayQueue(p.config.Queue, delay)
	ours[wire.HeaderSeal], ours[wire.HeaderCopy] = p.config.Users.seal(d.UserId, d), CopyOf(d, p.config.Queue)
	if d.MessageId == "" {
		ours[wire.HeaderJob] = wire.Clip(id, 255)
	}
	k := keeping{
		what: "message to be tried again", queue: queue, fresh: true,
		declare: func(l *wire.Link) error {
			began := time.Now()
			_, missing := l.Declare(queue, nil)
			note, err := l.Declare(queue, args)
			if err == nil {
				p.declared(queue, wire.IsNoQueue(missing))
			}
			if note != "" {
				// Such a queue might keep the message, or send it elsewhere.
				return fmt.Errorf("queue %q, in which messages wait to be tried again, has other arguments; delete it when it is empty: %s", queue, note)
			}
			if wire.Code(err) == amqp.AccessRefused {
				return fmt.Errorf("the user has no configure permission on queue %q, in which messages wait to be tried again: %s", queue, wire.Reason(err))
			}
			if err != nil && time.Since(began) >= wire.RPCTimeout {
				err = fmt.Errorf("queue %q, in which messages wait to be tried again, does not answer; a broker that was killed right after it was made can leave it so, and it is to be deleted then: %w", queue, wire.Plain(err))
			}
			return err
		},
		message: func(frameMax int) amqp.Publishing { return copyWith(d, ours, frameMax) }, lost: lost,
	}
	return p.keep(ctx, d.MessageId, k)
}

// infancy is how long a quorum queue counts as new. A killed broker can lose a new quorum queue and its confirmed
// messages (seen on 3.10 and 4.0 with one node, up to a second).
const infancy = 5 * time.Second

// declared records that a delay queue exists, and whether it was created just now.
func (p *Publisher) declared(queue string, created bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	born := p.births[queue]
	if created {
		born = time.Now()
	}
	p.births[queue] = born
}

// young returns how much longer the broker could lose a queue: see infancy. Zero or less: it cannot.
func (p *Publisher) young(queue string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return infancy - time.Since(p.births[queue])
}

// Attempt returns which attempt of which job a message is. A publisher can claim any attempt, and gains nothing.
// A message that was rejected and sent again is a first attempt.
func Attempt(d amqp.Delivery, queue string) (n int, id string) {
	id = d.MessageId
	if rejection(d, queue) != "" {
		return 1, id
	}
	v, ok := wire.Number(d.Headers[wire.HeaderAttempt], 2, message.MaxAttempt)
	if !ok {
		v = 1
	}
	if waits, _ := Waits(d, queue); ok || waits > 0 {
		id = cmp.Or(id, wire.Text(d.Headers[wire.HeaderJob]))
	}
	return int(v), id
}

// Waits returns how often a message was put back to wait for a host, and since when it waits.
func Waits(d amqp.Delivery, queue string) (n int, since time.Time) {
	v, ok := wire.Number(d.Headers[wire.HeaderWaits], 1, math.MaxInt32)
	if !ok || rejection(d, queue) != "" {
		return 0, time.Now()
	}
	if s, ok := wire.Number(d.Headers[wire.HeaderSince], 0, time.Now().Unix()); ok {
		return int(v), time.Unix(s, 0)
	}
	return int(v), time.Now()
}

// CopyOf returns a mark that tells apart the copies of a message whose dead letter was sent again. It is our
// header, and rejection if the broker dead-lettered the message.
func CopyOf(d amqp.Delivery, queue string) string {
	return wire.Text(d.Headers[wire.HeaderCopy]) + rejection(d, queue)
}

// rejection identifies the rejection from queue after which a message was sent again; empty: it was not rejected.
func rejection(d amqp.Delivery, queue string) string {
	deaths, _ := d.Headers["x-death"].([]any)
	for _, death := range deaths {
		t, _ := death.(amqp.Table)
		if t["queue"] == queue && t["reason"] == "rejected" {
			at, _ := t["time"].(time.Time)
			return fmt.Sprintf("rejected-%d-%d", wire.Count(t["count"]), at.Unix())
		}
	}
	return ""
}
