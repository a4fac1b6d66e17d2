package client

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// A Received is a message that was taken from a queue and is not acked.
type Received struct {
	Message
	Queue       string
	UserID      string // which the broker has verified
	Redelivered bool

	of  *consumer
	tag uint64
}

// Ack says that the message is done with. See AckAll.
func (r Received) Ack() error { return AckAll([]Received{r}) }

// AckAll says that messages are done with: the broker forgets them. The acks are safe when the channel that the messages came
// on is closed. It fails with cmd.ErrDeliveryLost where a consumer has ended: then the broker has back those that it did not
// ack.
//
// A channel sends a quorum queue at most ackWindow acks that are not yet in the queue's log, holds the others back, and loses
// those when it is closed. The broker does not tell when they are there. So messages that came one after the other are
// acked with one.
func AckAll(messages []Received) error {
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
			n, err := k.ack(tags)
			if err != nil {
				return err
			}
			tags = tags[n:]
		}
	}
	return nil
}

// Settled tells whether the message was acked.
func (r Received) Settled() bool {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	return r.of.settled(r.tag)
}

// A consumer is a channel that consumes from one queue. Its goroutine makes its synchronous calls, but for the cancel, which
// stop and the first ack make too: once, and before all others.
type consumer struct {
	client     *Client
	queue      string
	ch         *amqp.Channel
	tag        string
	prefetch   int
	deliveries <-chan amqp.Delivery
	closed     chan *amqp.Error
	whole      bool // it brings no message in place of an acked one
	cancelOnce sync.Once
	cancelled  chan string // holds the tag where the broker has ended the consumer

	mu    sync.Mutex          // guards the rest, and orders what is written for it
	over  bool                // nothing may be acked any more: what was acked before is safe
	acks  int                 // how many were written since the queue had time for them
	low   uint64              // all tags up to it are acked
	above map[uint64]struct{} // those above it that are acked, too
}

// ackWindow is how many acks of one channel a quorum queue's process in it sends before the first is in the queue's log: 32,
// unless the broker's quorum_commands_soft_limit says otherwise.
const ackWindow = 32

// settled tells whether a delivery was acked. The caller holds mu.
func (k *consumer) settled(tag uint64) bool {
	_, ok := k.above[tag]
	return ok || tag <= k.low
}

// ack acks the first of some deliveries, or as many as one ack can. It returns how many those are.
func (k *consumer) ack(tags []uint64) (n int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.settled(tags[0]) {
		return 0, wire.ErrSettledTwice // a second ack would close the channel
	}
	if k.over || k.whole && k.acks == ackWindow && !k.settle() {
		return 0, cmd.ErrDeliveryLost
	}
	low := k.low
	for n < len(tags) && tags[n] == low+1 {
		n++
		for low++; k.settled(low + 1); low++ {
			delete(k.above, low+1)
		}
	}
	multiple := n > 0
	if !multiple {
		n = 1
		k.above[tags[0]] = struct{}{}
	}
	if k.low = low; k.ch.Ack(tags[n-1], multiple) != nil {
		return 0, cmd.ErrDeliveryLost
	}
	k.acks++
	return n, nil
}

// settle waits until what was acked is in the queue's log, as far as that can be known, and tells whether the channel has
// lived so long. The caller holds mu.
func (k *consumer) settle() bool {
	if k.acks == 0 {
		return true
	}
	k.acks = 0
	select {
	case <-time.After(wire.Settling):
	case <-k.client.done:
	}
	return k.call(func() error { return k.ch.Qos(k.prefetch, 0, false) })
}

// Consume takes messages from a queue, at most so many unacked ones at a time (0: no limit). It ends, and
// the channel is closed, when ctx does, when the Client is closed, and when the queue or the connection is
// gone. Messages that are not acked by then go back to the queue, in order; all acks are safe by then,
// unless the connection has ended (see Done).
func (c *Client) Consume(ctx context.Context, queue string, prefetch int) (<-chan Received, error) {
	k, err := c.consumer(ctx, queue, prefetch)
	if err != nil {
		return nil, err
	}
	out := make(chan Received)
	return out, c.consume(func() {
		defer close(out)
		k.run(ctx, out, 0)
		k.finish()
	})
}

// Take takes at most n messages (1 to 65535) from a queue. The channel is closed after the last of them, and when Consume's
// would be. An ack after that brings no other message. The queue has a consumer until the first ack, or until stop, which
// costs no message that has come, and returns when the broker has ended it: a single active consumer that is ended while
// another stands in line can leave that without messages. giveBack must be called: it returns to the queue what is not
// acked, in order, and waits until all acks are safe.
func (c *Client) Take(ctx context.Context, queue string, n int) (in <-chan Received, stop, giveBack func(), err error) {
	ctx, end := context.WithCancel(ctx)
	k, err := c.consumer(ctx, queue, n)
	if err != nil {
		end()
		return nil, nil, nil, err
	}
	k.whole = true
	out, over, finished := make(chan Received), make(chan struct{}), make(chan struct{})
	err = c.consume(func() {
		defer close(finished)
		defer end()
		k.run(ctx, out, n)
		if ctx.Err() != nil { // so that nothing comes when out is seen closed
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
		case <-c.life.Done():
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

// consume runs the work of a consumer, for whose end Close waits.
func (c *Client) consume(work func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return ErrGone
	}
	c.consumers.Go(work)
	return nil
}

func (c *Client) consumer(ctx context.Context, queue string, prefetch int) (*consumer, error) {
	if err := checkName(queue); err != nil {
		return nil, err
	}
	if prefetch < 0 || prefetch > 65535 {
		return nil, fmt.Errorf("the prefetch is %d; it must be in 0 to 65535", prefetch)
	}
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	k := &consumer{client: c, queue: queue, tag: "docker-dispatch", prefetch: prefetch, above: make(map[uint64]struct{})}
	stop := context.AfterFunc(ctx, c.link.Wire.Abort)
	defer stop()
	err := c.link.Within(wire.RPCTimeout, func() (err error) {
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
		return nil, c.why(ctx, wire.ExplainQueue(err, queue, fmt.Sprintf("read permission on queue %q, to consume from it", queue)))
	}
	return k, nil
}

// run hands deliveries over until the consumer ends, at most so many (0: any number).
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
	if e := wire.NonBlocking(k.closed); e != nil {
		return wire.Plain(e)
	}
	if wire.NonBlocking(k.cancelled) != "" {
		return wire.ErrCancelled
	}
	return wire.ErrClosed
}

// finish closes the channel behind the last ack. What is not acked is given back before that: RabbitMQ 4.3 counts what comes
// back from a closed channel as a failed delivery.
func (k *consumer) finish() {
	k.cancel()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	if k.call(func() error { return k.ch.Nack(0, true, true) }) { // all of them: multiple, requeue
		k.settle()
	}
	k.call(k.ch.Close)
}

// cancel ends the taking. What has come and was not handed over goes back with the rest.
func (k *consumer) cancel() {
	k.cancelOnce.Do(func() {
		if k.call(func() error { return k.ch.Cancel(k.tag, false) }) {
			for range k.deliveries { // with an answer to the cancel it ends
			}
		}
	})
}

func (k *consumer) call(f func() error) bool {
	return !k.ch.IsClosed() && k.client.link.Within(wire.CloseTimeout, f) == nil
}

func (k *consumer) received(d amqp.Delivery) Received {
	r := Received{
		Message: Message{
			ID: d.MessageId, ReplyTo: d.ReplyTo, CorrelationID: d.CorrelationId, Type: d.Type,
			ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, AppID: d.AppId,
			Priority: d.Priority, Timestamp: d.Timestamp, Body: d.Body,
		},
		Queue: k.queue, UserID: d.UserId, Redelivered: d.Redelivered,
		of: k, tag: d.DeliveryTag,
	}
	if len(d.Headers) > 0 {
		r.Headers = wire.FromTable(d.Headers)
	}
	return r
}
