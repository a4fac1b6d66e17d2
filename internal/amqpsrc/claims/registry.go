package claims

import (
	"context"
	"fmt"
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

	// readingFor bounds how long the reading of all hosts waits for other readers, and takes.
	readingFor = 15 * time.Second
)

// A registry says who has what of a queue.
type registry struct {
	queue string

	mu       sync.Mutex
	released map[life]bool // guarded by mu
}

// void reports whether a life was released. Its claims hold no longer, but are never deleted: of two hosts that each delete a void
// claim and make their own, one could delete the other's.
func (r *registry) void(ctx context.Context, l *line, of life) (void bool, err error) {
	r.mu.Lock()
	void = r.released[of]
	r.mu.Unlock()
	if void {
		return true, nil
	}
	void, err = l.exists(ctx, of.marker())
	if void {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.released == nil {
			r.released = make(map[life]bool)
		}
		r.released[of] = true
	}
	return void, err
}

// current returns the life of a host that was not released.
func (r *registry) current(ctx context.Context, l *line, host string) (life, error) {
	of := life{hash: hostHash(r.queue, host)}
	for ; of.epoch < mostEpochs; of.epoch++ {
		if void, err := r.void(ctx, l, of); err != nil || !void {
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
		if as != (life{}) {
			if ok, err := l.declare(ctx, claim, as.exchange()); ok || err != nil {
				return claim, as, err
			}
		}
		owner, err = l.owner(ctx, claim)
		switch {
		case err != nil || owner == life{} && as == life{}:
			return claim, owner, err
		case owner == life{}:
			continue // deleted since the declare
		}
		if void, err := r.void(ctx, l, owner); err != nil || !void {
			return claim, owner, err
		}
		link++
	}
	return "", life{}, fmt.Errorf("%d hosts in a row had %s %s and were released", mostLinks, key.Kind, key.Key)
}

// hosts returns the names of all hosts. Readers take turns: while one reads a message, no other sees it.
func (r *registry) hosts(ctx context.Context, l *line) (names []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, readingFor)
	defer cancel()
	queue := recordsQueue(r.queue)
	lock := queue + ".lock"
	for taken := false; !taken; {
		if taken, err = l.lock(ctx, lock); err != nil {
			return nil, err
		}
		if !taken && delay.Sleep(ctx, 50*time.Millisecond) != nil {
			return nil, fmt.Errorf("queue %q is read by others: %w", queue, ctx.Err())
		}
	}
	known := make(map[string]bool)
	err = l.call(ctx, func(ch *amqp.Channel) error {
		for range mostHosts {
			d, ok, err := ch.Get(queue, false) // autoAck
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			if ValidHost(d.MessageId) && !known[d.MessageId] {
				known[d.MessageId] = true
				names = append(names, d.MessageId)
			}
		}
		return ch.Nack(0, true, true) // all of them; multiple, requeue
	})
	if wire.IsNoQueue(err) {
		err = nil
	}
	if unlock := l.unlock(ctx, lock); err == nil {
		err = unlock
	}
	return names, err
}
