package claims

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

const (
	// quietFor is how long the host's queues must stay empty after the host's exchange was deleted: a message may be on its way there.
	quietFor = 2 * time.Second

	// getEvery is the time between two looks at empty queues.
	getEvery = 100 * time.Millisecond
)

// ErrAlive is the error of Release for a host that is connected, or that is released by somebody else at the same time.
var ErrAlive = errors.New("the host is alive: stop it first")

// Released says what a release did.
type Released struct {
	Epoch    int // of the life that was released
	Messages int // that went back to the shared queue
}

// Release gives up a host that is lost for good: its messages go back to the queue, and other hosts take over its jobs and names.
// A release that was cut off is finished by another one. The link must be used by nobody else meanwhile. Release returns
// intake.ErrNoHost if there is no such host.
func Release(ctx context.Context, link *wire.Link, queue, host string) (done Released, err error) {
	r := &release{registry: newRegistry(queue), line: newLine(link)}
	for _, own := range ownQueues(queue, host) {
		if _, err := r.line.queue(ctx, own.name); err == nil {
			r.from = append(r.from, own.name)
		} else if !wire.IsNoQueue(err) {
			return done, err
		}
	}
	if len(r.from) == 0 { // somebody may have deleted them; the host's claims hold all the same
		if known, err := r.entered(ctx, r.line, host); err != nil {
			return done, err
		} else if !known {
			return done, fmt.Errorf("%w: %q has no queue %q", intake.ErrNoHost, host, HostQueue(queue, host))
		}
	}
	if _, err := r.line.queue(ctx, queue); err != nil { // nowhere for the messages to go
		return done, wire.ExplainQueue(err, queue, fmt.Sprintf("configure permission on queue %q", queue))
	}
	lock := lockQueue(queue, host)
	if taken, err := r.line.lock(ctx, lock); err != nil {
		return done, err
	} else if !taken {
		return done, fmt.Errorf("%w: %q on queue %q", ErrAlive, host, queue)
	}
	defer func() {
		if unlock := r.line.unlock(context.WithoutCancel(ctx), lock); err == nil {
			err = unlock
		}
	}()
	err = r.run(ctx, host)
	return r.done, err
}

// A release is a Release at work.
type release struct {
	*registry
	line *line
	from []string // the host's queues
	of   life
	done Released
}

// run makes the host's claims void before it moves a message. If a message went back first, and the release was killed, the host would
// come back with claims of jobs whose messages other hosts have. No claim is deleted: the marker makes all of them void at once.
func (r *release) run(ctx context.Context, host string) (err error) {
	var released bool
	if r.of, released, err = r.last(ctx, r.line, host); err != nil {
		return err
	}
	r.done.Epoch = r.of.epoch
	ch, err := r.line.link.Channel()
	if err != nil {
		return wire.Plain(err)
	}
	if !released {
		if ok, err := r.line.declare(ctx, r.of.marker(), r.of.exchange()); err != nil {
			return err
		} else if !ok {
			return fmt.Errorf("exchange %q is not docker-dispatch's; delete it", r.of.marker())
		}
	}
	// Messages for the host find no way any more, and their senders look for the claim again.
	if err := r.line.remove(ctx, r.of.exchange()); err != nil {
		return err
	}
	if err := r.empty(ctx, ch); err != nil {
		return err
	}
	return wire.Plain(r.line.link.Until(ctx, wire.RPCTimeout, ch.Close))
}

// empty rejects the messages of the host's queues, until these have been empty for quietFor. The broker puts them back into the
// shared queue.
func (r *release) empty(ctx context.Context, ch *amqp.Channel) error {
	for last := time.Now(); ; {
		var d amqp.Delivery
		var ok bool
		err := r.line.link.Until(ctx, wire.RPCTimeout, func() (err error) {
			for _, queue := range r.from {
				if d, ok, err = ch.Get(queue, false); ok || err != nil { // autoAck
					return err
				}
			}
			return nil
		})
		switch {
		case err != nil:
			return wire.Plain(err)
		case !ok && time.Since(last) >= quietFor:
			return nil
		case !ok:
			if err := delay.Sleep(ctx, getEvery); err != nil {
				return err
			}
			continue
		}
		last = time.Now()
		if moved, _ := d.Headers[wire.HeaderMoved].(bool); moved { // in the shared queue it would be taken for a message
			if err := d.Ack(false); err != nil { // multiple
				return wire.Plain(err)
			}
			continue
		}
		if err := d.Reject(false); err != nil { // requeue
			return wire.Plain(err)
		}
		r.done.Messages++
	}
}
