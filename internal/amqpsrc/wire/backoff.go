package wire

import (
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
)

// LongEnough is how long a connection must have lived for the next delay to be short again.
const LongEnough = time.Minute

// A Backoff counts the delays between attempts to connect, or to store a message: from a quarter of a second to half a
// minute.
type Backoff struct{ n int }

// Next returns the next delay.
func (b *Backoff) Next() time.Duration {
	b.n++
	return delay.Backoff(b.n-1, 500*time.Millisecond, 30*time.Second)
}

// Reset makes the next delay short again.
func (b *Backoff) Reset() { b.n = 0 }
