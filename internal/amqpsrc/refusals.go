package amqpsrc

import (
	"errors"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// refusals remembers which reply_to stores nothing. Each has one minute (impatience), not one per message. Otherwise
// many jobs with one dead reply_to would hold up all others, a minute each.
type refusals struct {
	mu     sync.Mutex
	queues map[string]refusal // guarded by mu
}

type refusal struct{ since, last time.Time }

const (
	// stale is how long after its last refusal a queue gets its whole minute again.
	stale = 2 * impatience

	// mostRefusals is how many queues are remembered: publishers choose their names.
	mostRefusals = 1000

	// shortly is how long a queue that has used up its minute may still take to confirm a message.
	shortly = 2 * time.Second
)

// vain reports whether to give up on a message: the queue has stored nothing for too long, or will never store
// this message. err is why it was not stored.
func (r *refusals) vain(queue string, err error) bool {
	if wire.Code(err) == amqp.AccessRefused || wire.TooLarge(err) {
		return true
	}
	unanswered := errors.Is(err, wire.ErrUnanswered)
	if !unanswered && !errors.Is(err, wire.ErrNacked) && !errors.Is(err, errApart) {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for q, old := range r.queues {
		if now.Sub(old.last) > stale {
			delete(r.queues, q)
		}
	}
	q, ok := r.queues[queue]
	if !ok {
		q.since = now
	}
	if unanswered { // it has not confirmed for a minute already
		q.since = now.Add(-impatience)
	}
	q.last = now
	if r.queues == nil {
		r.queues = make(map[string]refusal)
	}
	makeRoom(r.queues) // a forgotten queue only gets its whole minute again
	r.queues[queue] = q
	return now.Sub(q.since) >= impatience
}

// makeRoom removes arbitrary queues until there is room for one more.
func makeRoom[V any](queues map[string]V) {
	for q := range queues {
		if len(queues) < mostRefusals {
			return
		}
		delete(queues, q)
	}
}

// stored records that the queue has stored a message.
func (r *refusals) stored(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.queues, queue)
}

// patience returns how long the queue may take to confirm a message.
func (r *refusals) patience(queue string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, ok := r.queues[queue]
	if !ok || time.Since(q.last) > stale {
		return impatience
	}
	return max(shortly, impatience-time.Since(q.since))
}
