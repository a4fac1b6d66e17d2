package wire

import (
	"crypto/rand"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// OversizedBytes is how much is held of messages that are too large to be done, until their dead letters are
// stored.
const OversizedBytes = 64 << 20

// ReservedFor is how long room is kept for a message that was asked for again: another consumer may have got it.
const ReservedFor = 10 * time.Second

// A budget bounds the memory that oversized messages take, over all queues of a Source. It has room for one of any
// size.
type budget struct {
	most int64 // bytes of a message that is not oversized
	size int64

	mu    sync.Mutex
	held  int64         // guarded by mu
	freed chan struct{} // closed, and made anew, when something is given back; guarded by mu
}

// NewBudget bounds the bodies of messages larger than most: all connections together hold size bytes of them.
func NewBudget(most int, size int64) *budget {
	return &budget{most: int64(most), size: size, freed: make(chan struct{})}
}

// account returns the part of the budget that one connection takes.
func (b *budget) account() *Account {
	return &Account{budget: b, mark: "x-dispatch-unread-" + rand.Text()}
}

// fits tells whether a message of that size has room now. b.mu is held.
func (b *budget) fits(size int64) bool { return b.held == 0 || size <= b.size-b.held }

// give returns n bytes to the budget, and wakes who waits. b.mu is held.
func (b *budget) give(n int64) {
	b.held -= n
	close(b.freed)
	b.freed = make(chan struct{})
}

// An Account is what one connection holds of a budget. A nil Account has no limit; all its exported methods but Reserve
// take one.
type Account struct {
	*budget
	mark string // the header that stands for a body which was not read; its value is the body's size. No publisher knows it

	// Guarded by budget.mu.
	held     int64
	reserved int64 // what of held is kept for a message of that size which was asked for again
	all      bool  // every body is read: the queue drops a message that goes back
	closed   bool
}

// take tells whether the body of a message may be read. What is taken is given back by Settled, or by Close.
func (a *Account) take(size int64, redelivered bool) bool {
	if a == nil || size <= a.most {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if redelivered && size == a.reserved {
		a.reserved = 0
		a.give(0) // the next may be asked for
		return true
	}
	if !a.all && !a.fits(size) {
		return false
	}
	a.hold(size)
	return true
}

// hold adds size to what is held, without a check. budget.mu is held.
func (a *Account) hold(size int64) {
	if !a.closed {
		a.held += size
		a.budget.held += size
	}
}

// Reserve keeps room for a message whose body was skipped, and that the broker is to deliver again: for one at a time.
// Where it cannot, freed is closed when it is worth another try.
func (a *Account) Reserve(size int64) (ok bool, freed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reserved > 0 || !a.fits(size) {
		return false, a.freed
	}
	a.hold(size)
	a.reserved = size
	return true, nil
}

// Unreserve gives up what is kept for a message that did not come.
func (a *Account) Unreserve() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.held -= a.reserved
		a.give(a.reserved)
	}
	a.reserved = 0
}

// TakeAll has every body read from now on.
func (a *Account) TakeAll() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = true
}

// Settled gives back what the body of a message took.
func (a *Account) Settled(size int64) {
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

// Close gives back all that the connection still holds.
func (a *Account) Close() {
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

// Unread tells whether the body of a delivery was read over, and how large it is.
func (a *Account) Unread(d amqp.Delivery) (size int64, ok bool) {
	if a == nil {
		return 0, false
	}
	size, ok = d.Headers[a.mark].(int64)
	return size, ok
}
