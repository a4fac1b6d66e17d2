package amqpsrc

import (
	"sync"
	"time"
)

// awaited is since when a message that was lost could have come again: since its queue is consumed without a
// break, or since it is known that there is no such queue.
type awaited struct {
	mu      sync.Mutex
	since   time.Time // zero: it could not
	missing bool      // there is no such queue
}

func (a *awaited) get() (since time.Time, missing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.since, a.missing
}

// consumed records that a consumer has begun.
func (a *awaited) consumed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since, a.missing = time.Now(), false
}

// ended records that nothing is consumed. That comes before a session is over.
func (a *awaited) ended() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since, a.missing = time.Time{}, false
}

// noQueue records that the broker says that there is no such queue.
func (a *awaited) noQueue() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.missing {
		a.since, a.missing = time.Now(), true
	}
}
