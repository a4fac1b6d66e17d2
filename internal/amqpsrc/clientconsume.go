package amqpsrc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
	amqp "github.com/rabbitmq/amqp091-go"
)

// A Received is a message that was taken from a queue and is not acked.
type Received struct {
	Message
	Queue       string
	UserID      string // which the broker has verified
	Redelivered bool

	of       *consumer
	delivery amqp.Delivery
	settled  *atomic.Bool
}

// Ack says that the message is done with: the broker forgets it. The ack is safe when the channel that the
// message came on is closed. It fails with cmd.ErrDeliveryLost where the consumer has ended: then the
// broker has the message back.
func (r Received) Ack() error {
	return r.settle(func() error { return r.delivery.Ack(false) }) // multiple
}

// AckAtEnd says that the message is done with; it is acked when the consumer ends and no more come: until then it counts
// for the prefetch, and no other comes in its place.
func (r Received) AckAtEnd() error {
	return r.settle(func() error {
		r.of.atEnd.Lock()
		defer r.of.atEnd.Unlock()
		r.of.atEnd.acks = append(r.of.atEnd.acks, r.delivery)
		return nil
	})
}

// Settled tells whether the message was acked or given back.
func (r Received) Settled() bool { return r.settled.Load() }

// Requeue gives the message back.
func (r Received) Requeue() error {
	return r.settle(func() error { return r.delivery.Nack(false, true) }) // multiple, requeue
}

func (r Received) settle(how func() error) error {
	if r.settled.Swap(true) {
		return errSettledTwice // a second ack would close the channel
	}
	r.of.mu.RLock()
	defer r.of.mu.RUnlock()
	if r.of.over || how() != nil {
		return cmd.ErrDeliveryLost
	}
	r.of.acks.Store(true)
	return nil
}

// A consumer is a channel that consumes from one queue. Its goroutine makes its synchronous calls.
type consumer struct {
	client     *Client
	queue      string
	ch         *amqp.Channel
	tag        string
	prefetch   int
	deliveries <-chan amqp.Delivery
	closed     chan *amqp.Error
	cancelled  chan string // holds the tag where the broker has ended the consumer
	acks       atomic.Bool // something was acked or given back
	atEnd      struct {
		sync.Mutex
		acks []amqp.Delivery // to be acked at the end; guarded by the mutex
	}

	mu   sync.RWMutex // held by acks, for reading: what is acked before over is set is safe
	over bool         // nothing may be acked any more; guarded by mu
}

// Consume takes messages from a queue, at most so many unacked ones at a time (0: no limit). It ends, and
// the channel is closed, when ctx does, when the Client is closed, and when the queue or the connection is
// gone. Messages that are not acked by then go back to the queue, in order; all acks are safe by then,
// unless the connection has ended (see Done).
func (c *Client) Consume(ctx context.Context, queue string, prefetch int) (<-chan Received, error) {
	if err := checkName(queue); err != nil {
		return nil, err
	}
	if prefetch < 0 || prefetch > 65535 {
		return nil, fmt.Errorf("the prefetch is %d; it must be in 0 to 65535", prefetch)
	}
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	k := &consumer{client: c, queue: queue, tag: "docker-dispatch", prefetch: prefetch}
	stop := context.AfterFunc(ctx, c.link.wire.abort)
	defer stop()
	err := c.link.within(rpcTimeout, func() (err error) {
		if k.ch, err = c.link.Channel(); err != nil {
			return err
		}
		k.closed = k.ch.NotifyClose(make(chan *amqp.Error, 1))
		k.cancelled = k.ch.NotifyCancel(make(chan string, 1))
		if err = k.ch.Qos(prefetch, 0, false); err != nil { // no limit in bytes; not shared
			return err
		}
		k.deliveries, err = k.ch.Consume(queue, k.tag,
			false, // autoAck
			false, // exclusive
			false, // noLocal
			false, // noWait
			nil)
		return err
	})
	if err != nil {
		return nil, c.why(ctx, explainQueue(err, queue, fmt.Sprintf("read permission on queue %q, to consume from it", queue)))
	}
	out := make(chan Received)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, ErrGone
	}
	c.consumers.Go(func() {
		defer close(out)
		k.run(ctx, out)
		k.finish()
	})
	return out, nil
}

// run hands deliveries over until the consumer ends.
func (k *consumer) run(ctx context.Context, out chan<- Received) {
	for {
		select {
		case d, ok := <-k.deliveries:
			if !ok {
				k.client.log.Warn("consumer ended", "queue", k.queue, "error", k.why())
				return
			}
			select {
			case out <- k.received(d):
			case <-ctx.Done():
				return
			case <-k.client.life.Done():
				return
			}
		case <-ctx.Done():
			return
		case <-k.client.life.Done():
			return
		}
	}
}

// why finds the reason of an end that nobody here asked for.
func (k *consumer) why() error {
	if e := nonBlocking(k.closed); e != nil {
		return plain(e)
	}
	if nonBlocking(k.cancelled) != "" {
		return errCancelled
	}
	return errClosed
}

// finish closes the channel behind the last ack. A quorum queue holds some acks back in the channel's
// process, and one that is still there when the channel closes is lost. What is not acked is given back
// before that: RabbitMQ 4.3 counts what comes back from a closed channel as a failed delivery.
func (k *consumer) finish() {
	l := k.client.link
	call := func(f func() error) bool { return !k.ch.IsClosed() && l.within(closeTimeout, f) == nil }
	if call(func() error { return k.ch.Cancel(k.tag, false) }) {
		for range k.deliveries { // with an answer to the cancel it ends; what comes goes back
		}
	}
	k.mu.Lock()
	k.over = true
	k.mu.Unlock()
	for _, d := range k.atEnd.acks { // nobody adds to them any more
		if !call(func() error { return d.Ack(false) }) { // multiple
			break
		}
	}
	if call(func() error { return k.ch.Nack(0, true, true) }) && // all of them: multiple, requeue
		call(func() error { return k.ch.Qos(k.prefetch, 0, false) }) && k.acks.Load() {
		select {
		case <-time.After(settling):
		case <-k.client.done:
		}
	}
	call(k.ch.Close)
}

func (k *consumer) received(d amqp.Delivery) Received {
	r := Received{
		Message: Message{
			ID: d.MessageId, ReplyTo: d.ReplyTo, CorrelationID: d.CorrelationId, Type: d.Type,
			ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, AppID: d.AppId,
			Priority: d.Priority, Timestamp: d.Timestamp, Body: d.Body,
		},
		Queue: k.queue, UserID: d.UserId, Redelivered: d.Redelivered,
		of: k, delivery: d, settled: new(atomic.Bool),
	}
	if len(d.Headers) > 0 {
		r.Headers = fromTable(d.Headers)
	}
	return r
}
