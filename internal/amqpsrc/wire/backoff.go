package wire

import (
	"context"
	"math/rand/v2"
	"time"
)

// A backoff is a doubling series of delays with jitter. The jitter keeps hosts that lost the same broker from
// reconnecting all at once.
type backoff struct {
	first, most time.Duration // the minimum and the maximum delay
	n           int
}

// Reconnecting returns the series of delays between attempts to connect, or to store a message.
func Reconnecting() backoff { return backoff{first: 250 * time.Millisecond, most: 30 * time.Second} }

// Next returns a random delay between half the series' value and the full value, never less than first.
func (b *backoff) Next() time.Duration {
	d := b.most
	if b.n < 20 {
		d = min(2*b.first<<b.n, b.most)
		b.n++
	}
	return d/2 + rand.N(d/2+1)
}

func (b *backoff) Reset() { b.n = 0 }

// Sleep waits for d and reports whether all of it passed. It returns early if ctx ends.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	}
	return false
}
