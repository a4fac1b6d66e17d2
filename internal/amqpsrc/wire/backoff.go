package wire

import (
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
)

// A backoff counts the delays between attempts to connect, or to store a message: from a quarter of a second to half a
// minute.
type backoff struct{ n int }

// Reconnecting returns the series of delays.
func Reconnecting() backoff { return backoff{} }

// Next returns the next delay.
func (b *backoff) Next() time.Duration {
	b.n++
	return delay.Backoff(b.n-1, 500*time.Millisecond, 30*time.Second)
}

func (b *backoff) Reset() { b.n = 0 }
