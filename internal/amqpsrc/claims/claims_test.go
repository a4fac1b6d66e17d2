package claims

import (
	"sync"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestFirstWins: of two hosts that claim the same keys at the same time, exactly one has each, and the other is told which.
func TestFirstWins(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	a, b := r.enter("a"), r.enter("b")
	const n = 300
	keys := make([]intake.ClaimKey, n)
	for i := range keys {
		keys[i] = r.key(i)
	}
	var owner [2][n]string
	var work sync.WaitGroup
	for i, h := range []*host{a, b} {
		for from := range mostCalls {
			work.Go(func() {
				for k := from; k < n; k += mostCalls {
					owner[i][k] = h.claims(keys[k])
				}
			})
		}
	}
	work.Wait()
	won := 0
	for k := range n {
		switch got := [2]string{owner[0][k], owner[1][k]}; got {
		case [2]string{"", "a"}:
			won++
		case [2]string{"b", ""}:
		default:
			t.Errorf("key %d: a has it from %q, b from %q", k, got[0], got[1])
		}
	}
	if t.Logf("a won %d", won); won == 0 || won == n {
		t.Error("the hosts did not race")
	}
}

// TestCounts: a claim lasts until its last holder gives it up. The key is free then.
func TestCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a, b := r.enter("a"), r.enter("b")
	key := r.key(0)
	for range 3 {
		if owner := a.claims(key); owner != "" {
			t.Fatalf("owner is %q", owner)
		}
	}
	for i := range 3 {
		if owner := b.looks(key); owner != "a" {
			t.Errorf("after %d: owner is %q", i, owner)
		}
		b.unclaims(key) // another host's claim stays
		a.unclaims(key)
	}
	if owner := b.looks(key); owner != "-" {
		t.Errorf("owner is %q", owner)
	}
	if owner := b.claims(key); owner != "" {
		t.Errorf("owner is %q", owner)
	}
	a.unclaims(key) // without a holder: the same
	if owner := a.looks(key); owner != "b" {
		t.Errorf("owner is %q", owner)
	}
	if n := len(a.held.keys) + len(b.held.keys); n != 1 {
		t.Errorf("%d keys are remembered", n)
	}
}
