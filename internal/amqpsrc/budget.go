package amqpsrc

import (
	"crypto/rand"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// oversizedBytes is how much is held of messages that are too large to be done, until their dead letters are
// stored.
const oversizedBytes = 64 << 20

// unreadAgain is how soon a message that was not read is asked for again, where nothing else says when.
const unreadAgain = time.Second

// A budget bounds the memory that oversized messages take, over all queues of a Source. It has room for one of any
// size.
type budget struct {
	most int64 // bytes of a message that is not oversized
	size int64

	mu    sync.Mutex
	held  int64         // guarded by mu
	freed chan struct{} // closed, and made anew, when something is given back; guarded by mu
}

func newBudget(most int, size int64) *budget {
	return &budget{most: int64(most), size: size, freed: make(chan struct{})}
}

// account returns the part of the budget that one connection takes.
func (b *budget) account() *account {
	return &account{budget: b, mark: "x-dispatch-unread-" + rand.Text()}
}

// room tells whether a message of that size has room now; where it has not, freed is closed when that may have changed.
func (b *budget) room(size int64) (ok bool, freed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fits(size), b.freed
}

// fits is room. b.mu is held.
func (b *budget) fits(size int64) bool { return b.held == 0 || b.held+size <= b.size }

// give takes n bytes back. b.mu is held.
func (b *budget) give(n int64) {
	b.held -= n
	close(b.freed)
	b.freed = make(chan struct{})
}

// An account is what one connection holds of a budget. Its methods are those of a nil account too, which has room for
// everything.
type account struct {
	*budget
	mark   string // the header that stands for a body which was not read; its value is the body's size. No publisher knows it
	held   int64  // guarded by budget.mu
	closed bool   // guarded by budget.mu
}

// take tells whether the body of a message may be read. What is taken is given back by settled, or by close.
func (a *account) take(size int64) bool {
	if a == nil || size <= a.most {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.fits(size) {
		return false
	}
	if !a.closed {
		a.held += size
		a.budget.held += size
	}
	return true
}

// settled gives back what the body of a message took.
func (a *account) settled(size int64) {
	if a == nil || size <= a.most {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.held -= size
		a.give(size)
	}
}

// close gives back all that the connection still holds.
func (a *account) close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.closed = true
		a.give(a.held)
	}
}

// unread tells whether the body of a delivery was read over, and how large it is.
func (a *account) unread(d amqp.Delivery) (size int64, ok bool) {
	if a == nil {
		return 0, false
	}
	size, ok = d.Headers[a.mark].(int64)
	return size, ok
}
