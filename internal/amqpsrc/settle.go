package amqpsrc

import (
	"context"
	"errors"
	"fmt"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
	amqp "github.com/rabbitmq/amqp091-go"
)

// A delivery is one message as one session brought it. It can be settled once, and only there.
type delivery struct {
	amqp.Delivery
	sess *session

	turn    chan struct{} // holds a token while a settle is at work
	settled bool          // guarded by turn
}

var errSettledTwice = errors.New("the delivery was settled before")

// job makes a delivery into what the pool knows.
func (s *session) job(d amqp.Delivery) cmd.Job {
	del := &delivery{Delivery: d, sess: s, turn: make(chan struct{}, 1)}
	return cmd.Job{
		Queue:       s.config.Queue,
		MessageID:   d.MessageId,
		Redelivered: d.Redelivered,
		Body:        d.Body,
		Lost:        s.over,
		Settle:      del.settle,
		Fence:       s.fence,
	}
}

// settle carries a verdict out. A second ack of one delivery would close the channel, and all that is
// unacked on it would come again; so a delivery that was settled is not touched any more, whatever is
// asked. One whose settling failed because ctx ended may be settled again.
func (d *delivery) settle(ctx context.Context, v cmd.Verdict, r cmd.Result) error {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if d.settled {
		return errSettledTwice
	}
	if d.sess.over() {
		return cmd.ErrDeliveryLost
	}
	var answer func() error
	switch v {
	case cmd.Ack:
		answer = d.ack
	case cmd.Requeue:
		answer = func() error { return d.Acknowledger.Nack(d.DeliveryTag, false, true) } // multiple, requeue
	case cmd.DeadLetter:
		if d.sess.config.DeadLetter == "" {
			answer = func() error { return d.Acknowledger.Reject(d.DeliveryTag, false) } // requeue
			break
		}
		if err := d.sess.store(ctx, d.sess.done, d.Delivery, r); err != nil {
			return err
		}
		if d.sess.over() {
			return cmd.ErrDeliveryLost
		}
		answer = d.ack
	default:
		return fmt.Errorf("amqpsrc: %v", v)
	}
	d.settled = true
	if answer() != nil {
		// The write failed, so the connection is at its end, whether the session knows it yet or not.
		return cmd.ErrDeliveryLost
	}
	return nil
}

func (d *delivery) ack() error { return d.Acknowledger.Ack(d.DeliveryTag, false) } // multiple
