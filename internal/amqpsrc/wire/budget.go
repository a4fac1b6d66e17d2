package wire

import (
	"crypto/rand"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// OversizedBytes is the limit on the total size of messages too large to run. A message is held until its dead letter
// is stored.
const OversizedBytes = 64 << 20

// ReservedFor is how long room is kept for a requeued message. The broker may deliver it to another consumer instead.
const ReservedFor = 10 * time.Second

// A budget bounds the memory for oversized messages, over all queues of a Source. If it is empty, it admits one message
// of any size, unless its own size is 0: then it admits none.
type budget struct {
	most int64 // a message of more bytes is oversized
	size int64

	mu    sync.Mutex
	held  int64         // guarded by mu
	freed chan struct{} // closed and replaced when bytes are returned; guarded by mu
}

// NewBudget returns a budget for bodies larger than most: all connections together may hold size bytes of them.
func NewBudget(most int, size int64) *budget {
	return &budget{most: int64(most), size: size, freed: make(chan struct{})}
}

// account returns a new account of the budget, for one connection.
func (b *budget) account() *Account {
	return &Account{budget: b, mark: "x-dispatch-unread-" + rand.Text()}
}

// fits reports whether a message of that size has room now. b.mu is held.
func (b *budget) fits(size int64) bool { return b.held == 0 && b.size > 0 || size <= b.size-b.held }

// give returns n bytes to the budget, and wakes the waiters. b.mu is held.
func (b *budget) give(n int64) {
	b.held -= n
	close(b.freed)
	b.freed = make(chan struct{})
}

// An Account is one connection's share of a budget. A nil Account has no limit. All exported methods except Reserve
// accept a nil Account.
type Account struct {
	*budget
	mark string // header that replaces a skipped body; its value is the body's size. Publishers cannot know the name

	// Guarded by budget.mu.
	held     int64
	reserved int64 // the part of held that is kept for a requeued message of that size; 0: none
	all      bool  // every body is read, because the queue drops a requeued message
	closed   bool
}

// take reports whether the body of a message may be read. Settled or Close returns the bytes that it takes.
func (a *Account) take(size int64, redelivered bool) bool {
	if a == nil || size <= a.most {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if redelivered && size == a.reserved {
		a.reserved = 0
		a.give(0) // wakes the waiters: the next message may be requeued
		return true
	}
	if !a.all && !a.fits(size) {
		return false
	}
	a.hold(size)
	return true
}

// hold counts size bytes as held, whether they fit or not, unless the account is closed. The caller has locked budget.mu.
func (a *Account) hold(size int64) {
	if !a.closed {
		a.held += size
		a.budget.held += size
	}
}

// Reserve keeps room for one message at a time: its body was skipped, and the caller requeues it next.
// If Reserve fails, freed is closed when the next try may succeed.
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

// Unreserve releases the room for a requeued message that was not redelivered.
func (a *Account) Unreserve() {
	a.change(func() {
		a.held -= a.reserved
		a.give(a.reserved)
		a.reserved = 0
	})
}

// TakeAll makes the connection read every body from now on.
func (a *Account) TakeAll() { a.change(func() { a.all = true }) }

// Settled returns the bytes of a message's body to the budget.
func (a *Account) Settled(size int64) {
	if a == nil || size <= a.most {
		return
	}
	a.change(func() {
		a.held -= size
		a.give(size)
	})
}

// Close returns all bytes that the connection still holds.
func (a *Account) Close() {
	a.change(func() {
		a.closed = true
		a.give(a.held)
	})
}

// change calls f with budget.mu held, unless the account is nil or closed.
func (a *Account) change(f func()) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		f()
	}
}

// Unread reports whether the body of a delivery was skipped, and returns the body's size.
func (a *Account) Unread(d amqp.Delivery) (size int64, ok bool) {
	if a == nil {
		return 0, false
	}
	size, ok = d.Headers[a.mark].(int64)
	return size, ok
}
