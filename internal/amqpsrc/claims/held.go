package claims

import (
	"context"
	"sync"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// held are the claims that this process holds.
type held struct {
	mu   sync.Mutex
	keys map[intake.ClaimKey]*hold // that are held or in use; guarded by mu
}

// A hold is a key that is held or in use.
type hold struct {
	turn  chan struct{} // held by the goroutine that makes calls for the key
	users int           // goroutines that have the turn, or wait for it; guarded by held.mu

	// Written with the turn and held.mu, read with either.
	holders int
	claim   string // if there are holders
}

// alone calls do with the turn of a key.
func (t *held) alone(ctx context.Context, key intake.ClaimKey, do func(*hold) error) error {
	t.mu.Lock()
	h := t.keys[key]
	if h == nil {
		h = &hold{turn: make(chan struct{}, 1)}
		t.keys[key] = h
	}
	h.users++
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if h.users--; h.users == 0 && h.holders == 0 {
			delete(t.keys, key)
		}
	}()
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
		return do(h)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// set records the holders of a key. The caller has the turn.
func (t *held) set(h *hold, holders int, claim string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h.holders, h.claim = holders, claim
}

// look returns the claim of a key that is held, else "".
func (t *held) look(key intake.ClaimKey) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.keys[key]; h != nil && h.holders > 0 {
		return h.claim
	}
	return ""
}

// claims returns all claims that are held.
func (t *held) claims() (all []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.keys {
		if h.holders > 0 {
			all = append(all, h.claim)
		}
	}
	return all
}
