package claims

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

const (
	// mostLinks is how many hosts in a row may have had a key and been released.
	mostLinks = 16

	// mostHosts is how many hosts of a queue are read.
	mostHosts = 10_000

	// readingFor bounds how long a reader of the hosts waits for others.
	readingFor = 15 * time.Second
)

// A registry says who has what of a queue.
type registry struct {
	queue string

	mu       sync.Mutex
	released map[life]bool // guarded by mu
}

func newRegistry(queue string) *registry {
	return &registry{queue: queue, released: make(map[life]bool)}
}

// void reports whether a life was released. Its claims hold no longer, but are never deleted: of two hosts that each delete a void
// claim and make their own, one could delete the other's.
func (r *registry) void(ctx context.Context, l *line, of life) (bool, error) {
	r.mu.Lock()
	void := r.released[of]
	r.mu.Unlock()
	if void {
		return true, nil
	}
	// A release deletes the exchange after it has made the marker. The broker closes the channel over a missing exchange, so first
	// comes the one that most often exists.
	if exists, err := l.exists(ctx, of.exchange()); exists || err != nil {
		return false, err
	}
	return r.marked(ctx, l, of)
}

// marked reports whether the release of a life has come so far that it cannot be taken back.
func (r *registry) marked(ctx context.Context, l *line, of life) (bool, error) {
	marked, err := l.exists(ctx, of.marker())
	if marked {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.released[of] = true
	}
	return marked, err
}

// current returns the life of a host that was not released.
func (r *registry) current(ctx context.Context, l *line, host string) (life, error) {
	of := life{hash: hostHash(r.queue, host)}
	for ; of.epoch < mostEpochs; of.epoch++ {
		if marked, err := r.marked(ctx, l, of); err != nil || !marked {
			return of, err
		}
	}
	return of, fmt.Errorf("host %q was released %d times; give it another name", host, mostEpochs)
}

// find returns the claim of a key that is not void. If there is none, find makes one for the host as, or, if as is zero, returns
// the zero owner.
func (r *registry) find(ctx context.Context, l *line, key intake.ClaimKey, as life) (claim string, owner life, err error) {
	for link := 0; link < mostLinks; {
		claim = claimExchange(r.queue, key, link)
		if as == (life{}) {
			owner, err = l.owner(ctx, claim)
		} else {
			owner, err = l.claim(ctx, claim, as, majorityQueue(r.queue))
		}
		switch {
		case err != nil || owner == as:
			return claim, owner, err
		case owner == life{}:
			continue // deleted since it was refused
		}
		if void, err := r.void(ctx, l, owner); err != nil || !void {
			return claim, owner, err
		}
		link++
	}
	return "", life{}, fmt.Errorf("%d hosts in a row had %s %s and were released", mostLinks, key.Kind, key.Key)
}

// reading calls read while no other connection reads the queues of a shared queue's hosts: a message that one reads is hidden from all
// others.
func (r *registry) reading(ctx context.Context, l *line, read func() error) error {
	lock := recordsQueue(r.queue) + ".lock"
	for until := time.Now().Add(readingFor); ; {
		taken, err := l.lock(ctx, lock)
		if err != nil {
			return err
		}
		if taken {
			break
		}
		if time.Now().After(until) {
			return fmt.Errorf("another connection reads queue %q, and does not end", recordsQueue(r.queue))
		}
		if err := delay.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return cmp.Or(read(), l.unlock(context.WithoutCancel(ctx), lock))
}

// hosts returns the names of all hosts. The caller is reading.
func (r *registry) hosts(ctx context.Context, l *line) (names []string, err error) {
	err = l.call(ctx, func(ch *amqp.Channel) error {
		for range mostHosts {
			d, ok, err := ch.Get(recordsQueue(r.queue), false) // autoAck
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if ValidHost(d.MessageId) {
				names = append(names, d.MessageId)
			}
		}
		return ch.Nack(0, true, true) // all of them; multiple, requeue
	})
	if wire.IsNoQueue(err) {
		err = nil
	}
	slices.Sort(names)
	return slices.Compact(names), err
}
