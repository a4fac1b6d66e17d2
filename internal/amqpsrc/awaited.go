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

// set records since when that is so; zero: it is not. If the queue is missing still, the time stays.
func (a *awaited) set(since time.Time, missing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !(missing && a.missing) {
		a.since, a.missing = since, missing
	}
}
