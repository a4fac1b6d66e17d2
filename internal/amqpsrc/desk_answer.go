package amqpsrc

import (
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// snapshotFor is how long one answer serves: however many ask, the status is made five times a second.
const snapshotFor = 200 * time.Millisecond

// answers makes the bodies of answers. Only the desk's goroutine uses it.
type answers struct {
	status func() status.Status
	most   int // bytes of a body
	last   []byte
	made   time.Time
}

// body returns the status as JSON.
func (a *answers) body() []byte {
	if time.Since(a.made) > snapshotFor {
		s := a.status()
		a.last, a.made = s.Encode(a.most), time.Now()
	}
	return a.last
}

// leastAnswer is the size below which an answer is not made smaller.
const leastAnswer = 16 << 10

// refused makes later answers smaller: the broker takes none of that size.
func (a *answers) refused() {
	a.most, a.made = max(leastAnswer, len(a.last)/2), time.Time{}
}
