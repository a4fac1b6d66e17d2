package claims

import (
	"cmp"
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

	holders int    // guarded by held.mu
	claim   string // if there are holders; guarded by held.mu
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

// more counts one more holder of a key, whose claim is this; "": the claim that it has, and false if it has none.
func (t *held) more(h *hold, claim string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if claim == "" && h.holders == 0 {
		return false
	}
	h.holders, h.claim = h.holders+1, cmp.Or(claim, h.claim)
	return true
}

// fewer takes one holder of a key away. last: there is none left. claim is the claim that it had, "" if there was no holder.
func (t *held) fewer(h *hold) (claim string, last bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.holders == 0 {
		return "", true
	}
	claim = h.claim
	if h.holders--; h.holders == 0 {
		h.claim = ""
	}
	return claim, h.holders == 0
}

// keep takes one holder of a key away. It does not wait for the key's turn.
func (t *held) keep(key intake.ClaimKey) {
	t.mu.Lock()
	h := t.keys[key]
	t.mu.Unlock()
	if h == nil {
		return
	}
	t.fewer(h)
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.users == 0 && h.holders == 0 && t.keys[key] == h {
		delete(t.keys, key)
	}
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
