package claims

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// open connects, and enters.
func (c *Claims) open(ctx context.Context) (l *line, err error) {
	if c.engine == "" {
		if c.engine, err = c.config.EngineID(ctx); err != nil {
			return nil, fmt.Errorf("the engine does not tell its ID: %w", err)
		}
	}
	link, err := c.dialer.Open(ctx, "claims", func(link *wire.Link) error {
		l = newLine(link)
		err := c.enter(ctx, l)
		if wire.Code(err) == amqp.AccessRefused {
			return fmt.Errorf("%w on %s: %s", wire.ErrHostForbidden, pattern(c.config.Queue), wire.Reason(err))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.hold(ctx, l); err != nil {
		c.dialer.Part(link, true)
		return nil, err
	}
	return l, nil
}

// enter makes this host known at the broker, as alive. Another connection cannot do that at the same time, because of the lock,
// nor can it release this host.
func (c *Claims) enter(ctx context.Context, l *line) error {
	queue, host := c.config.Queue, c.config.Host
	if fault := checkNames(l.link.Place.VHost, queue, host); fault != "" {
		return fmt.Errorf("%w: %s", wire.ErrHostNames, fault)
	}
	if taken, err := l.lock(ctx, lockQueue(queue, host)); err != nil {
		return err
	} else if !taken {
		return fmt.Errorf("%w: %q on queue %q", wire.ErrHostTaken, host, queue)
	}
	now, err := c.registry.current(ctx, l, host)
	if err != nil {
		return err
	}
	if c.life != (life{}) && c.life != now {
		return fmt.Errorf("%w: %q on queue %q", wire.ErrReleased, host, queue)
	}
	if ok, err := c.exchange(ctx, l, now.exchange()); err != nil {
		return err
	} else if !ok {
		return fmt.Errorf("%w: %q on queue %q; this engine's ID is %s", wire.ErrHostEngine, host, queue, c.engine)
	}
	if now.epoch > 0 { // a release that was killed may have left it
		if err := l.remove(ctx, life{now.hash, now.epoch - 1}.exchange()); err != nil {
			return err
		}
	}
	if err := c.queues(ctx, l, now); err != nil {
		return err
	}
	if err := c.permitted(ctx, l); err != nil || c.life != (life{}) {
		return err
	}
	c.mu.Lock()
	c.life = now
	c.mu.Unlock()
	c.config.Log.Info("this host shares the queue with others", "host", c.Host(), "queue", queue)
	return nil
}

// exchange makes the host's exchange. ok is false if another engine has the host's name. An earlier version of the program, whose
// hosts had one queue, made a fanout: the exchange is made anew then.
func (c *Claims) exchange(ctx context.Context, l *line, name string) (ok bool, err error) {
	engine := enginePrefix + c.engine
	if ok, err = l.declareAs(ctx, amqp.ExchangeDirect, name, engine); ok || err != nil {
		return ok, err
	}
	if ok, err = l.declareAs(ctx, amqp.ExchangeFanout, name, engine); !ok || err != nil {
		return false, err
	}
	if err := l.remove(ctx, name); err != nil {
		return false, err
	}
	return l.declareAs(ctx, amqp.ExchangeDirect, name, engine)
}

// queues declares the host's queues. The host is recorded before it has any.
func (c *Claims) queues(ctx context.Context, l *line, now life) error {
	if c.life == (life{}) { // later keepRecord sees to it
		if err := c.recordOnce(ctx, l); err != nil {
			return err
		}
	}
	for _, q := range ownQueues(c.config.Queue, c.config.Host) {
		note, err := l.link.Declare(q.name, amqp.Table{
			amqp.QueueTypeArg: amqp.QueueTypeQuorum,
			// A message that release rejects goes back to the shared queue, by the broker itself.
			"x-dead-letter-exchange": "", "x-dead-letter-routing-key": c.config.Queue,
			"x-dead-letter-strategy": "at-least-once", amqp.QueueOverflowArg: amqp.QueueOverflowRejectPublish,
		})
		if err != nil {
			return err
		}
		if note != "" {
			return fmt.Errorf("%w: %q: %s", wire.ErrHostQueue, q.name, note)
		}
		err = l.call(ctx, func(ch *amqp.Channel) error { return ch.QueueBind(q.name, q.key, now.exchange(), false, nil) }) // noWait
		if err != nil {
			return err
		}
	}
	if _, err := l.link.Declare(majorityQueue(c.config.Queue), amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}); err != nil {
		return err
	}
	_, err := l.link.Declare(seenQueue(c.config.Queue, c.config.Host), amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum, amqp.QueueMaxLenArg: 1})
	return err
}

// Restore declares the host's queues once more, on any connection: they may have been deleted. The host must have entered.
func (c *Claims) Restore(ctx context.Context, link *wire.Link) error {
	return c.queues(ctx, newLine(link), c.life)
}

// recordOnce stores the host's name in the queue of all hosts, unless it is there.
func (c *Claims) recordOnce(ctx context.Context, l *line) error {
	return c.registry.reading(ctx, l, func() error {
		names, err := c.registry.records(ctx, l)
		if err != nil || slices.Contains(names, c.config.Host) {
			return err
		}
		return c.record(ctx)
	})
}

// record stores the host's name in the queue of all hosts.
func (c *Claims) record(ctx context.Context) error {
	body, err := json.Marshal(struct{ Host string }{c.config.Host})
	if err != nil {
		return err
	}
	queue := RecordsQueue(c.config.Queue)
	return c.publish(ctx, func(link *wire.Link, o *wire.Outlet) error {
		if _, err := link.Declare(queue, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}); err != nil {
			return err
		}
		return o.Send(ctx, "", queue, amqp.Publishing{
			DeliveryMode: amqp.Persistent, ContentType: "application/json", AppId: wire.AppID, MessageId: c.config.Host, Body: body,
		}, wire.RPCTimeout)
	})
}

// permitted makes a claim that is nobody's, to find out whether the user may do all that claims need.
func (c *Claims) permitted(ctx context.Context, l *line) error {
	claim := claimExchange(c.config.Queue, intake.ClaimKey{Kind: "permission", Key: c.config.Host}, 0)
	if _, err := l.declare(ctx, claim, life{hash: hostHash(c.config.Queue, c.config.Host)}.exchange()); err != nil { // configure and read; write on the host's
		return err
	}
	err := l.call(ctx, func(ch *amqp.Channel) error { return ch.ExchangeBind(claim, "", claim, false, nil) }) // write
	if err != nil {
		return err
	}
	return l.remove(ctx, claim)
}

// hold makes the held claims once more. If another host has one, somebody has deleted it.
func (c *Claims) hold(ctx context.Context, l *line) error {
	for _, claim := range c.held.claims() {
		if ok, err := l.declare(ctx, claim, c.life.exchange()); err != nil {
			return err
		} else if !ok {
			return fmt.Errorf("%w: another host has what %q had on queue %q", wire.ErrReleased, c.config.Host, c.config.Queue)
		}
	}
	return nil
}
