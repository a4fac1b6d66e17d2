package amqpsrc

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/publish"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A delivery is one message received on one session. It can be settled once, and only on that session.
type delivery struct {
	amqp.Delivery
	sess  *session
	token string // of a copy that another host has forwarded; else ""

	settled   atomic.Bool
	abandoned atomic.Bool // see intake.Job.Abandon
}

// lost reports whether the delivery is lost, and its redelivery is awaited.
func (d *delivery) lost() bool { return d.sess.over() && !d.abandoned.Load() }

// job returns the job of a delivery.
func (s *session) job(d amqp.Delivery) intake.Job {
	d.UserId = s.source.cfg.users.Of(d)
	del := &delivery{Delivery: d, sess: s}
	n, id := publish.Attempt(d, s.source.cfg.source())
	waits, since := publish.Waits(d, s.source.cfg.source())
	mark := publish.CopyOf(d, s.source.cfg.source())
	if id == "" && wire.Text(d.Headers[wire.HeaderCopy]) == "" {
		mark = "" // equal messages that were rejected in the same second have the same mark
	}
	p := s.source.publisher
	j := intake.Job{
		Queue:       s.source.cfg.Queue,
		Place:       s.link.Place,
		MessageID:   id,
		Published:   published(d),
		Redelivered: d.Redelivered,
		Control:     s.source.cfg.controls,
		User:        d.UserId,
		Copy:        mark,
		Attempt:     n,
		Body:        d.Body,
		Waits:       waits,
		WaitsSince:  since,
		Lost:        s.over,
		Released:    s.released.Load,
		Awaited:     s.source.awaited.get,
		Abandon:     func() { del.abandoned.Store(true) },
		Settle:      del.settle,
		Alive:       s.alive,
		Fence:       s.fence,
	}
	if s.source.cfg.HostName != "" {
		j = s.shared(del, j)
	}
	from := s.source.cfg.Queue
	if j.Control && s.source.cfg.Control != "" {
		from = s.source.cfg.Control
	}
	j.Again = func(ctx context.Context, delay time.Duration, attempt int, id string) error {
		return p.Again(ctx, del.Delivery, delay, attempt, id, del.lost)
	}
	j.PutBack = func(ctx context.Context, delay time.Duration, id string) error {
		return p.PutBack(ctx, del.Delivery, s.source.cfg.source(), delay, id, del.lost)
	}
	if s.source.cfg.DeadLetter != "" {
		j.Store = func(ctx context.Context, r event.Result) error {
			return p.DeadLetter(ctx, del.Delivery, from, r, del.lost)
		}
	}
	replies := p.Replier(d, del.lost)
	switch {
	case d.ReplyTo == "":
	case s.source.cfg.own(d.ReplyTo):
		j.Invalid = fmt.Errorf("reply_to %q is a queue of docker-dispatch itself; name one that takes the answers", d.ReplyTo)
	default:
		j.ReplyTo = d.ReplyTo + "\x00" + d.CorrelationId
		j.Reply, j.Stream = replies.Reply, replies.Stream
	}
	if s.source.cfg.Results != "" {
		j.Record = replies.Record
	}
	return j
}

// published returns when a message was published. A broker's plugin gives it in milliseconds; otherwise its publisher gives
// it in seconds, or not at all. A time that cannot be true counts as none, and so does one of more than 30 days ago: a single
// wrong one would hide all others in the sums and the ages.
func published(d amqp.Delivery) time.Time {
	at := d.Timestamp
	if ms, ok := d.Headers["timestamp_in_ms"].(int64); ok {
		at = time.UnixMilli(ms)
	}
	if age := time.Since(at); age > 30*24*time.Hour || age < -time.Hour {
		return time.Time{}
	}
	return at
}

// settle carries out a verdict. If the delivery was settled before, it returns wire.ErrSettledTwice. A
// second ack would close the channel, and all unacked deliveries on the channel would be redelivered.
func (d *delivery) settle(_ context.Context, v intake.Verdict, _ event.Result) error {
	if d.sess.over() {
		return intake.ErrDeliveryLost
	}
	if d.settled.Swap(true) {
		return wire.ErrSettledTwice
	}
	defer d.sess.account.Settled(int64(len(d.Body)))
	d.sess.release(d.DeliveryTag)
	defer d.sess.settled(1)
	var err error
	switch v {
	case intake.Ack, intake.Forward:
		d.sess.acks.Add(1)
		err = d.Acknowledger.Ack(d.DeliveryTag, false) // multiple
	case intake.Requeue:
		err = d.Acknowledger.Nack(d.DeliveryTag, false, true) // multiple, requeue
	case intake.DeadLetter:
		err = d.Acknowledger.Reject(d.DeliveryTag, false) // requeue
	default:
		return fmt.Errorf("amqpsrc: %v", v)
	}
	if err != nil {
		// The write failed, so the connection has ended, whether the session knows it yet or not.
		return intake.ErrDeliveryLost
	}
	d.settledCopy(v)
	return nil
}
