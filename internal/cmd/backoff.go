package cmd

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff returns the n-th delay (from 0) of a doubling series with jitter: between half of the delay and all of it.
func backoff(n int, first, most time.Duration) time.Duration {
	d := most
	if n < 30 {
		d = min(first<<n, most)
	}
	return d/2 + rand.N(d/2+1)
}

// pause waits for d, or for the end of ctx, whose cause it returns.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
