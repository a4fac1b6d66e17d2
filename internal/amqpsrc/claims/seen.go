package claims

import (
	"context"
	"encoding/json"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
)

// signEvery is the time between two signs of life.
const signEvery = 30 * time.Second

// A sign is a host's sign of life. The broker keeps the last one.
type sign struct {
	At     time.Time
	Labels map[string]string `json:",omitempty"`
}

// signs publishes signs of life until ctx ends.
func (c *Claims) signs(ctx context.Context) {
	queue := seenQueue(c.config.Queue, c.config.Host)
	for wait := new(wire.Backoff); ; {
		err := c.publish(ctx, func(link *wire.Link, o *wire.Outlet) error {
			for {
				if err := c.keepRecord(ctx, link); err != nil {
					return err
				}
				now := time.Now().UTC().Truncate(time.Second)
				body, err := json.Marshal(sign{now, c.config.Labels})
				if err != nil {
					return err
				}
				err = o.Send(ctx, "", queue, amqp.Publishing{
					DeliveryMode: amqp.Persistent, ContentType: "application/json", AppId: wire.AppID, Timestamp: now, Body: body,
				}, wire.RPCTimeout)
				if err != nil {
					return err
				}
				wait.Reset()
				if err := delay.Sleep(ctx, signEvery); err != nil {
					return err
				}
			}
		})
		if ctx.Err() != nil {
			return
		}
		c.config.Log.Debug("no sign of life of this host is stored", "queue", queue, "error", err)
		if delay.Sleep(ctx, wait.Next()) != nil {
			return
		}
	}
}

// keepRecord records the host once more if the queue of all hosts was deleted, or is empty: a broker drops what is read more often than a
// delivery limit allows. Without its record this host could not be released.
func (c *Claims) keepRecord(ctx context.Context, link *wire.Link) error {
	var found amqp.Queue
	err := link.On(func(ch *amqp.Channel) (err error) {
		found, err = ch.QueueDeclarePassive(RecordsQueue(c.config.Queue), true, false, false, false, nil) // the broker ignores the flags
		return err
	})
	if wire.IsNoQueue(err) || err == nil && found.Messages == 0 {
		return c.try(ctx, func(l *line, _ bool) error { return c.recordOnce(ctx, l) }) // it is empty too while somebody reads it
	}
	return err
}

// publish calls send with a connection that publishes. It is another one than that of the claims: a broker that is short of memory
// answers no more calls on a connection that publishes then.
func (c *Claims) publish(ctx context.Context, send func(*wire.Link, *wire.Outlet) error) error {
	link, err := c.dialer.Open(ctx, "sign of life", func(*wire.Link) error { return nil })
	if err != nil {
		return err
	}
	o, err := link.Outlet(1)
	if err == nil {
		err = send(link, o)
	}
	c.dialer.Part(link, !link.IsClosed())
	return wire.Plain(err)
}
