// Package delay has the waits between attempts, for the engine's side and for the broker's.
package delay

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff returns the n-th delay (from 0) of a doubling series with jitter: between half of the delay and all of it. The
// jitter keeps hosts that lost the same server from coming back all at once.
func Backoff(n int, first, most time.Duration) time.Duration {
	d := most
	if n < 30 {
		d = min(first<<n, most)
	}
	return d/2 + rand.N(d/2+1)
}

// Sleep waits for d, or for the end of ctx, whose cause it returns.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
