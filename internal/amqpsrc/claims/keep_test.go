package claims

import "testing"

// TestKeepAndForget: a claim that is kept outlives its last holder. Only its host can forget it, and only without a holder.
func TestKeepAndForget(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a, b := r.enter("a"), r.enter("b")
	key := r.keys(1)[0]
	forgets := func(h *host, want string) {
		t.Helper()
		if err := h.Forget(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if owner := b.looks(key); owner != want {
			t.Errorf("owner is %q, want %q", owner, want)
		}
	}
	a.claims(key)
	a.claims(key)
	forgets(a, "a")
	a.Keep(key)
	forgets(a, "a")
	a.Keep(key)
	if n := len(a.held.keys); n != 0 {
		t.Errorf("%d keys are held", n)
	}
	forgets(b, "a")
	forgets(a, "-")
	if owner := b.claims(key); owner != "" {
		t.Errorf("owner is %q", owner)
	}
	forgets(a, "b")
}
