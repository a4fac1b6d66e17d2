package wire

import (
	"context"
	"math/rand/v2"
	"time"
)

// A backoff is a doubling series of delays with jitter, so that many hosts that lost one broker do
// not come back at once.
type backoff struct {
	first, most time.Duration // the least delay, and the greatest
	n           int
}

// Reconnecting is the series between two attempts at a connection, or at storing a message.
func Reconnecting() backoff { return backoff{first: 250 * time.Millisecond, most: 30 * time.Second} }

// Next returns a delay between half of the series' value and all of it, never less than first.
func (b *backoff) Next() time.Duration {
	d := b.most
	if b.n < 20 {
		d = min(2*b.first<<b.n, b.most)
		b.n++
	}
	return d/2 + rand.N(d/2+1)
}

func (b *backoff) Reset() { b.n = 0 }

// Sleep waits for d. It returns early, and false, where ctx ends.
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
