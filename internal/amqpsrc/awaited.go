package amqpsrc

import (
	"sync"
	"time"
)

// awaited is since when a lost message could have been redelivered. That is since its queue is consumed
// without a break, or since the broker said that the queue does not exist.
type awaited struct {
	mu      sync.Mutex
	since   time.Time // zero: neither holds
	missing bool      // the queue does not exist
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

// ended records that nothing is consumed. It is called before a session is over.
func (a *awaited) ended() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since, a.missing = time.Time{}, false
}

// noQueue records that the broker said that the queue does not exist.
func (a *awaited) noQueue() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.missing {
		a.since, a.missing = time.Now(), true
	}
}
