package client

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A Received is a message that was taken from a queue. It is unacked until Ack or AckAll.
type Received struct {
	Message
	Queue       string
	UserID      string // verified by the broker
	Redelivered bool

	of  *consumer
	tag uint64
}

// Ack acks the message. See AckAll.
func (r Received) Ack() error { return AckAll([]Received{r}) }

// AckAll acks messages: the broker removes them. The acks are safe when the channel of Consume is closed, or when giveBack
// of Take has returned. AckAll fails with intake.ErrDeliveryLost if a consumer has ended: the broker has then requeued the
// messages of that consumer that are not Settled. The others are acked.
//
// The broker's channel sends a quorum queue at most wire.AckWindow acks that are not yet in the queue's log. It holds back the
// others, and loses them when it is closed. The broker does not tell when an ack is in the log. So consecutive messages
// are acked with one ack.
func AckAll(messages []Received) (err error) {
	tags := make(map[*consumer][]uint64)
	for _, r := range messages {
		tags[r.of] = append(tags[r.of], r.tag)
	}
	for k, tags := range tags {
		if k.whole {
			k.cancel()
		}
		slices.Sort(tags)
		for len(tags) > 0 {
			n, failed := k.ack(tags)
			if failed != nil {
				err = failed
				break
			}
			tags = tags[n:]
		}
	}
	return err
}

// Settled reports whether the message was acked.
func (r Received) Settled() bool {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	return r.of.settled(r.tag)
}

// A consumer is a channel that consumes from one queue. Its synchronous calls never overlap: the cancel comes once, before
// all others, and those are made under mu.
type consumer struct {
	client     *Client
	queue      string
	ch         *amqp.Channel
	tag        string
	prefetch   int
	deliveries <-chan amqp.Delivery
	closed     chan *amqp.Error
	whole      bool // it is cancelled before the first ack: acks bring no further messages
	cancelOnce sync.Once
	cancelled  chan string // holds the tag if the broker has ended the consumer

	mu    sync.Mutex          // guards the rest, and orders the acks on the channel
	over  bool                // nothing may be acked after that; earlier acks are safe
	acks  int                 // how many were written
	low   uint64              // all tags up to low are acked
	above map[uint64]struct{} // tags above low that are acked, too
}

// settled reports whether a delivery was acked. The caller holds mu.
func (k *consumer) settled(tag uint64) bool {
	_, ok := k.above[tag]
	return ok || tag <= k.low
}

// ack acks the first of the sorted tags, or as many as one ack can. It returns how many it acked.
func (k *consumer) ack(tags []uint64) (n int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.settled(tags[0]) {
		return 0, wire.ErrSettledTwice // a second ack would close the channel
	}
	low := k.low
	for n < len(tags) && tags[n] == low+1 {
		n++
		for low++; k.settled(low + 1); low++ {
		}
	}
	multiple := n > 0
	if !multiple {
		n = 1
	}
	if k.over || k.ch.Ack(tags[n-1], multiple) != nil {
		return 0, intake.ErrDeliveryLost
	}
	if k.acks++; !multiple {
		k.above[tags[0]] = struct{}{}
	}
	for ; k.low < low; k.low++ {
		delete(k.above, k.low+1)
	}
	return n, nil
}

// Consume takes messages from a queue, at most prefetch of them unacked at a time (0: no limit). The channel
// is closed after ctx ends, the Client is closed, the queue is deleted or the connection is lost. By then the
// broker has requeued unacked messages, in order, and all acks are safe, unless the connection has ended
// (see Done).
func (c *Client) Consume(ctx context.Context, queue string, prefetch int) (<-chan Received, error) {
	k, err := c.consumer(ctx, queue, prefetch)
	if err != nil {
		return nil, err
	}
	out := make(chan Received)
	return out, c.consume(ctx, func(ctx context.Context) {
		defer close(out)
		k.run(ctx, out, 0)
		k.finish()
	})
}

// Take takes at most n messages (1 to 65535) from a queue. The channel is closed after the last of them, or when Consume's
// would be. An ack brings no further message. The queue has a consumer until the first ack or stop. Received messages are
// not lost by stop, which returns when the broker has ended the consumer. A single active consumer that ends while another
// waits can leave the other without messages. The caller must call giveBack, which requeues unacked messages, in order,
// and waits until all acks are safe.
func (c *Client) Take(ctx context.Context, queue string, n int) (in <-chan Received, stop, giveBack func(), err error) {
	ctx, end := context.WithCancel(ctx)
	k, err := c.consumer(ctx, queue, n)
	if err != nil {
		end()
		return nil, nil, nil, err
	}
	k.whole = true
	out, over, finished := make(chan Received), make(chan struct{}), make(chan struct{})
	err = c.consume(ctx, func(ctx context.Context) {
		defer close(finished)
		defer end()
		k.run(ctx, out, n)
		if ctx.Err() != nil { // no delivery may arrive after out is closed
			k.cancel()
		}
		close(out)
		select {
		case <-ctx.Done():
			k.cancel()
			select {
			case <-over:
			case <-c.life.Done():
			}
		case <-over:
		}
		k.finish()
	})
	if err != nil {
		end()
		return nil, nil, nil, err
	}
	stop = func() {
		end()
		k.cancel()
	}
	return out, stop, func() {
		close(over)
		<-finished
	}, nil
}

// consume runs the work of a consumer in a goroutine. Close ends its context, and waits for its end.
func (c *Client) consume(ctx context.Context, work func(context.Context)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return ErrGone
	}
	c.consumers.Go(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.life, cancel)()
		work(ctx)
	})
	return nil
}

func (c *Client) consumer(ctx context.Context, queue string, prefetch int) (*consumer, error) {
	if prefetch < 0 || prefetch > 65535 {
		return nil, fmt.Errorf("the prefetch is %d; it must be in 0 to 65535", prefetch)
	}
	k := &consumer{client: c, queue: queue, tag: "docker-dispatch", prefetch: prefetch, above: make(map[uint64]struct{})}
	need := fmt.Sprintf("read permission on queue %q, to consume from it", queue)
	return k, c.within(ctx, queue, need, func() (err error) {
		if k.ch, err = c.link.Channel(); err != nil {
			return err
		}
		k.closed = k.ch.NotifyClose(make(chan *amqp.Error, 1))
		k.cancelled = k.ch.NotifyCancel(make(chan string, 1))
		if err = k.ch.Qos(prefetch, 0, false); err != nil { // no limit in bytes; not shared
			return err
		}
		k.deliveries, err = wire.Consume(k.ch, queue, k.tag)
		return err
	})
}

// run hands deliveries over until the consumer ends, at most that number (0: no limit).
func (k *consumer) run(ctx context.Context, out chan<- Received, most int) {
	for n := 0; n < most || most == 0; n++ {
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
			}
		case <-ctx.Done():
			return
		}
	}
}

// why returns why the broker or the connection ended the consumer.
func (k *consumer) why() error {
	if e := wire.NonBlocking(k.closed); e != nil {
		return wire.Plain(e)
	}
	if wire.NonBlocking(k.cancelled) != "" {
		return wire.ErrCancelled
	}
	return wire.ErrClosed
}

// finish requeues unacked messages, then closes the channel, after the last ack. RabbitMQ 4.3 counts messages that the
// closing of a channel requeues as failed deliveries.
func (k *consumer) finish() {
	k.cancel()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	ok := k.call(func() error { return k.ch.Nack(0, true, true) }) // all of them: multiple, requeue
	for rounds := wire.SettlingRounds(k.acks); ok && rounds > 0; rounds-- {
		ok = k.call(func() error { return k.ch.Qos(k.prefetch, 0, false) })
		select {
		case <-time.After(wire.Settling):
		case <-k.client.done:
		}
	}
	k.call(k.ch.Close)
}

// cancel cancels the consumer, once. finish requeues deliveries that were received and not handed over.
func (k *consumer) cancel() {
	k.cancelOnce.Do(func() {
		if k.call(func() error { return k.ch.Cancel(k.tag, false) }) {
			for range k.deliveries { // the answer to the cancel closes it
			}
		}
	})
}

func (k *consumer) call(f func() error) bool {
	return !k.ch.IsClosed() && k.client.link.Within(wire.CloseTimeout, f) == nil
}

func (k *consumer) received(d amqp.Delivery) Received {
	return Received{
		Message: Message{
			ID: d.MessageId, ReplyTo: d.ReplyTo, CorrelationID: d.CorrelationId, Type: d.Type,
			ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, AppID: d.AppId,
			Priority: d.Priority, Timestamp: d.Timestamp, Headers: d.Headers, Body: d.Body,
		},
		Queue: k.queue, UserID: d.UserId, Redelivered: d.Redelivered,
		of: k, tag: d.DeliveryTag,
	}
}
