package claims

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

const (
	// mostLinks is how many hosts in a row may have had a key and been released.
	mostLinks = 256

	// mostHosts is how many hosts of a queue are read.
	mostHosts = 10_000

	// readingFor bounds how long a reader of the hosts waits for others.
	readingFor = 15 * time.Second

	// namesFor is how long the names of hosts are not read again.
	namesFor = time.Minute

	// readAgain is the delay to the next attempt to be the reader.
	readAgain = 50 * time.Millisecond
)

// A registry says who has what of a queue.
type registry struct {
	queue string
	turn  chan struct{} // held by the goroutine that is reading

	mu       sync.Mutex
	released map[life]bool     // guarded by mu
	names    map[string]string // of hosts, by hash; guarded by mu
	read     time.Time         // when the names were read last; guarded by mu
}

func newRegistry(queue string) *registry {
	return &registry{queue: queue, turn: make(chan struct{}, 1), released: make(map[life]bool)}
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

// A found is a claim that was found. The zero found is none.
type found struct {
	address string // its exchange
	owner   life
	void    bool // the owner was released
}

// find returns the claim of a key. If no host has the key, find makes a claim for the host as, or, if as is zero, returns the last
// void claim.
func (r *registry) find(ctx context.Context, l *line, key intake.ClaimKey, as life) (last found, err error) {
	for link := range mostLinks {
		next := found{address: claimExchange(r.queue, key, link)}
		if as == (life{}) {
			next.owner, err = l.owner(ctx, next.address)
		} else {
			next.owner, err = l.claim(ctx, next.address, as, majorityQueue(r.queue))
		}
		switch {
		case err != nil:
			return found{}, err
		case next.owner == life{} && as == life{}:
			return last, nil
		case next.owner == as:
			return next, nil
		case next.owner == life{}:
			return found{}, l.end(fmt.Errorf("exchange %q was deleted before it told whose claim it was", next.address))
		}
		if next.void, err = r.void(ctx, l, next.owner); err != nil || !next.void {
			return next, err
		}
		last = next
	}
	return found{}, fmt.Errorf("%d hosts in a row had %s %s and were released; delete exchange %q, the first of their claims",
		mostLinks, key.Kind, key.Key, claimExchange(r.queue, key, 0))
}

// reading calls read while nobody else reads the queues of a shared queue's hosts, in this process or another: a message that one
// reads is hidden from all others.
func (r *registry) reading(ctx context.Context, l *line, read func() error) error {
	timeout := time.After(readingFor)
	busy := fmt.Errorf("others read queue %q, and do not end within %v", RecordsQueue(r.queue), readingFor)
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-timeout:
		return busy
	case <-ctx.Done():
		return ctx.Err()
	}
	lock := RecordsQueue(r.queue) + ".lock"
	for {
		taken, err := l.lock(ctx, lock)
		if err != nil {
			return err
		}
		if taken {
			return cmp.Or(read(), l.unlock(context.WithoutCancel(ctx), lock))
		}
		select {
		case <-time.After(readAgain):
		case <-timeout:
			return busy
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// name returns the name of a host; "" if it is not known.
func (r *registry) name(ctx context.Context, l *line, hash string) (string, error) {
	if name, ok := r.known(hash); ok {
		return name, nil
	}
	err := r.reading(ctx, l, func() error {
		if _, ok := r.known(hash); ok { // read meanwhile
			return nil
		}
		_, err := r.hosts(ctx, l)
		return err
	})
	name, _ := r.known(hash)
	return name, err
}

// learn remembers the name of a host that may have come since the names were read.
func (r *registry) learn(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names == nil {
		r.names = make(map[string]string)
	}
	r.names[hostHash(r.queue, host)] = host
}

// known returns the name of a host as it was read last. If it is not ok, the names must be read.
func (r *registry) known(hash string) (name string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name = r.names[hash]
	return name, name != "" || time.Since(r.read) < namesFor
}

// hosts returns the names of all hosts, in order, and keeps them for name. The caller is reading.
func (r *registry) hosts(ctx context.Context, l *line) ([]string, error) {
	names, err := r.records(ctx, l)
	if err != nil {
		return nil, err
	}
	byHash := make(map[string]string)
	for _, name := range names {
		byHash[hostHash(r.queue, name)] = name
	}
	r.mu.Lock()
	r.names, r.read = byHash, time.Now()
	r.mu.Unlock()
	return slices.Sorted(maps.Values(byHash)), nil
}

// records returns the names in the queue of all hosts. The caller is reading.
func (r *registry) records(ctx context.Context, l *line) (names []string, err error) {
	err = l.call(ctx, func(ch *amqp.Channel) error {
		for range mostHosts {
			d, ok, err := ch.Get(RecordsQueue(r.queue), false) // autoAck
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
	return names, err
}
