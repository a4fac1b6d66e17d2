package publish

import (
	"errors"
	"maps"
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

type refusal struct {
	since, last time.Time // since is zero if it was not refused
	suspect     bool      // a connection may have ended because of it, see alone
}

const (
	// stale is how long after its last refusal a queue gets its whole minute again.
	stale = 2 * impatience

	// mostRefusals is how many queues are remembered: publishers choose their names. A forgotten queue only gets its whole
	// minute again, or ends a connection again.
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
	q := r.note(queue, func(q *refusal, now time.Time) {
		if unanswered { // it has not confirmed for a minute already
			q.since = now.Add(-impatience)
		} else if q.since.IsZero() {
			q.since = now
		}
	})
	return time.Since(q.since) >= impatience
}

// note changes what is remembered of a queue, and returns it.
func (r *refusals) note(queue string, change func(q *refusal, now time.Time)) refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(r.queues, func(_ string, q refusal) bool { return now.Sub(q.last) > stale })
	q := r.queues[queue]
	change(&q, now)
	q.last = now
	if r.queues == nil {
		r.queues = make(map[string]refusal)
	}
	for other := range r.queues {
		if len(r.queues) < mostRefusals {
			break
		}
		delete(r.queues, other)
	}
	r.queues[queue] = q
	return q
}

// stored records that the queue has stored a message.
func (r *refusals) stored(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.queues, queue)
}

func (r *refusals) suspected(queue string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queues[queue].suspect
}

// patience returns how long the queue may take to confirm a message.
func (r *refusals) patience(queue string) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := r.queues[queue]
	if q.since.IsZero() || time.Since(q.last) > stale {
		return impatience
	}
	return max(shortly, impatience-time.Since(q.since))
}
