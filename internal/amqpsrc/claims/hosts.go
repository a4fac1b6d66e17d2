package claims

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// mostSign is the largest sign of life that is read, in bytes.
const mostSign = 64 << 10

// A Record is a host of a queue, as the operator sees it.
type Record struct {
	Host  string
	Epoch int // how often the host was released before this life; if Released, before the last one

	Alive    bool // a daemon with this name is connected
	Released bool // and has not come back since

	Waiting   int // messages in the host's queues that nobody has taken
	Consumers int // of these queues

	Seen   time.Time         // the last sign of life; zero: there is none
	Labels map[string]string // as of then
}

// Hosts returns the hosts of a queue, by name. The link must be used by nobody else meanwhile.
func Hosts(ctx context.Context, link *wire.Link, queue string) (all []Record, err error) {
	l, r := newLine(link), newRegistry(queue)
	err = r.reading(ctx, l, func() error {
		names, err := r.hosts(ctx, l)
		if err != nil {
			return err
		}
		for _, host := range names {
			one, err := r.look(ctx, l, host)
			if err != nil {
				return fmt.Errorf("host %q: %w", host, err)
			}
			all = append(all, one)
		}
		return nil
	})
	return all, err
}

// look returns the record of a host.
func (r *registry) look(ctx context.Context, l *line, host string) (Record, error) {
	last, released, err := r.last(ctx, l, host)
	one := Record{Host: host, Epoch: last.epoch, Released: released}
	if err != nil {
		return one, err
	}
	if one.Alive, err = l.locked(ctx, lockQueue(r.queue, host)); err != nil {
		return one, err
	}
	for _, own := range ownQueues(r.queue, host) {
		q, err := l.queue(ctx, own.name)
		if err != nil && !wire.IsNoQueue(err) { // recorded, but killed before it made its queues
			return one, err
		}
		one.Waiting, one.Consumers = one.Waiting+q.Messages, one.Consumers+q.Consumers
	}
	seen, err := l.sign(ctx, seenQueue(r.queue, host))
	one.Seen, one.Labels = seen.At, seen.Labels
	return one, err
}

// last returns the latest life of a host, and whether it was released.
func (r *registry) last(ctx context.Context, l *line, host string) (of life, released bool, err error) {
	if of, err = r.current(ctx, l, host); err != nil || of.epoch == 0 {
		return of, false, err
	}
	entered, err := l.exists(ctx, of.exchange())
	if err == nil && !entered {
		of.epoch--
	}
	return of, !entered, err
}

// entered reports whether a host has a life that was not released.
func (r *registry) entered(ctx context.Context, l *line, host string) (bool, error) {
	of, err := r.current(ctx, l, host)
	if err != nil {
		return false, err
	}
	return l.exists(ctx, of.exchange())
}

// sign returns a host's last sign of life; the zero sign if there is none.
func (l *line) sign(ctx context.Context, queue string) (last sign, err error) {
	err = l.call(ctx, func(ch *amqp.Channel) error {
		d, ok, err := ch.Get(queue, false) // autoAck
		if err != nil || !ok {
			return err
		}
		if len(d.Body) > mostSign || json.Unmarshal(d.Body, &last) != nil {
			last = sign{}
		}
		return d.Nack(false, true) // multiple, requeue
	})
	if wire.IsNoQueue(err) {
		err = nil
	}
	return last, err
}
