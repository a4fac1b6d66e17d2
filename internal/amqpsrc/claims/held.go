package claims

import (
	"context"
	"slices"
	"sync"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// held are the claims that this process holds. For each key, one goroutine at a time makes calls.
type held struct {
	mu   sync.Mutex
	keys map[intake.ClaimKey]*hold // held, or in use; guarded by mu
}

// A hold is a key of held.
type hold struct {
	turn chan struct{} // held by the goroutine that makes calls for the key

	users   int    // that have the turn, or wait for it; guarded by held.mu
	holders int    // guarded by held.mu
	claim   string // if there are holders; guarded by held.mu
}

// take waits for the key's turn. The caller gives it back.
func (t *held) take(ctx context.Context, key intake.ClaimKey) (*hold, error) {
	t.mu.Lock()
	h := t.keys[key]
	if h == nil {
		if t.keys == nil {
			t.keys = make(map[intake.ClaimKey]*hold)
		}
		h = &hold{turn: make(chan struct{}, 1)}
		t.keys[key] = h
	}
	h.users++
	t.mu.Unlock()
	select {
	case h.turn <- struct{}{}:
		return h, nil
	case <-ctx.Done():
		t.leave(key, h)
		return nil, ctx.Err()
	}
}

// give gives the turn back.
func (t *held) give(key intake.ClaimKey, h *hold) {
	<-h.turn
	t.leave(key, h)
}

// leave forgets the key with its last user, unless it is held.
func (t *held) leave(key intake.ClaimKey, h *hold) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.users--; h.users == 0 && h.holders == 0 {
		delete(t.keys, key)
	}
}

// again counts one more holder if there is one already. The caller has the turn.
func (t *held) again(h *hold) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.holders == 0 {
		return false
	}
	h.holders++
	return true
}

// first counts the first holder. The caller has the turn.
func (t *held) first(h *hold, claim string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h.holders, h.claim = 1, claim
}

// drop counts one holder less, and returns how many are left. claim is "" if there was none. The caller has the turn.
func (t *held) drop(h *hold) (claim string, left int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.holders == 0 {
		return "", 0
	}
	h.holders--
	return h.claim, h.holders
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
	return slices.Clip(all)
}
