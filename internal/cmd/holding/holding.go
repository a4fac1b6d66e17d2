// Package holding has the claims that one task holds.
package holding

import (
	"slices"
	"sync"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// Claims are those of one task. The zero Claims are none.
type Claims struct {
	mu   sync.Mutex
	held []claim // oldest first; each key once; guarded by mu
}

type claim struct {
	key   intake.ClaimKey
	stays bool // see Leave
}

// find returns the place of key; -1: it is not held. c.mu is held.
func (c *Claims) find(key intake.ClaimKey) int {
	return slices.IndexFunc(c.held, func(h claim) bool { return h.key == key })
}

// Hold adds a key that the task has claimed. It ends with the task.
func (c *Claims) Hold(key intake.ClaimKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = append(c.held, claim{key: key})
}

// Holds reports whether the task holds key.
func (c *Claims) Holds(key intake.ClaimKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(key) >= 0
}

// Leave says that key, if it is held, stays at the task's end: it is that of another container than the task's.
func (c *Claims) Leave(key intake.ClaimKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := c.find(key); i >= 0 {
		c.held[i].stays = true
	}
}

// Ends reports whether a key is held that ends with the task.
func (c *Claims) Ends() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.held, func(h claim) bool { return !h.stays })
}

// Give has the task to hold key, if c does. But a task that holds nothing gets nothing: it has ended, or has no container.
func (c *Claims) Give(key intake.ClaimKey, to *Claims) {
	if c.Drop(key) && !to.receive(key) {
		c.Hold(key)
	}
}

func (c *Claims) receive(key intake.ClaimKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) == 0 || c.find(key) >= 0 {
		return false
	}
	c.held = append(c.held, claim{key: key})
	return true
}

// Drop takes key away, and reports whether it was held.
func (c *Claims) Drop(key intake.ClaimKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.find(key)
	if i >= 0 {
		c.held = slices.Delete(c.held, i, i+1)
	}
	return i >= 0
}

// Take takes the oldest key away. ok is false if none is held.
func (c *Claims) Take() (key intake.ClaimKey, stays, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.held) == 0 {
		return key, false, false
	}
	h := c.held[0]
	c.held = slices.Delete(c.held, 0, 1)
	return h.key, h.stays, true
}
