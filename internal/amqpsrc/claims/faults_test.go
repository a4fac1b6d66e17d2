package claims

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestMajorityDeleted: if the queue of the majority is deleted, a claim waits until the host has declared it again.
func TestMajorityDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	a := r.enter("a")
	keys := r.keys(2)
	a.claims(keys[0])
	r.peer.Delete(majorityQueue(r.queue))
	if owner := a.claims(keys[1]); owner != "" {
		t.Errorf("owner is %q", owner)
	}
}

// TestPermissionTakenAway: a claim waits while a permission is missing. The gate is closed, and the fault names the permissions.
func TestPermissionTakenAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	all := pattern(r.queue)
	user := brokertest.NewUser(t)
	user.Permit(all, all+"|^amq[.]default$", all)
	a := r.start("a", func(c *Claims) { c.dialer.Address = dialer(t, user.URL(brokertest.Password)).Address })
	a.wait()
	user.Permit("^$", all+"|^amq[.]default$", all)
	owner := make(chan string, 1)
	key := r.keys(1)[0]
	go func() { owner <- a.claims(key) }()
	brokertest.Eventually(t, "the fault names the permissions", func() bool {
		open, _ := a.Entered().State()
		return !open && errors.Is(a.Fault(), wire.ErrHostForbidden)
	})
	select {
	case owner := <-owner:
		t.Fatalf("owner is %q", owner)
	default:
	}
	user.Permit(all, all+"|^amq[.]default$", all)
	if owner := <-owner; owner != "" || a.looks(key) != "a" {
		t.Errorf("owner is %q", owner)
	}
}

// TestLinks: a key can be held by many hosts that are released one after the other. A claim that is only void is told from none.
func TestLinks(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	b, key := r.enter("b"), r.keys(1)[0]
	if claim, err := b.Look(t.Context(), key); claim != nil || err != nil {
		t.Errorf("before any: %+v, %v", claim, err)
	}
	const most = 20
	for i := range most {
		name := fmt.Sprint("spot", i)
		of := life{hash: hostHash(r.queue, name)}
		r.t.Cleanup(func() { r.forget(name) })
		l := newLine(r.link())
		for _, exchange := range []string{claimExchange(r.queue, key, i), of.marker()} {
			if ok, err := l.declare(t.Context(), exchange, of.exchange()); !ok || err != nil {
				t.Fatal(ok, err)
			}
			t.Cleanup(func() { l.remove(context.Background(), exchange) })
		}
	}
	void := intake.Claim{Void: true, Address: claimExchange(r.queue, key, most-1)}
	if claim, err := b.Look(t.Context(), key); err != nil || claim == nil || *claim != void {
		t.Errorf("%+v, %v", claim, err)
	}
	if err := b.Forget(t.Context(), key); err != nil {
		t.Error(err)
	}
	if owner := b.claims(key); owner != "" {
		t.Errorf("owner is %q", owner)
	}
	if claim, err := b.Look(t.Context(), key); err != nil || !claim.Ours || claim.Void || claim.Address != claimExchange(r.queue, key, most) {
		t.Errorf("%+v, %v", claim, err)
	}
	b.unclaims(key)
}

// TestReadersInProcess: goroutines of one process that read the hosts at the same time all see all hosts.
func TestReadersInProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a := r.enter("a")
	for _, name := range []string{"b", "c", "d"} {
		r.enter(name).leave()
	}
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 20 {
				err := a.try(t.Context(), func(l *line, _ bool) error {
					return a.registry.reading(t.Context(), l, func() error {
						if names, err := a.registry.hosts(t.Context(), l); err != nil || len(names) != 4 {
							t.Errorf("%q, %v", names, err)
						}
						return nil
					})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
}

// TestNameReadAgain: names that could not be read are read again for the next claim.
func TestNameReadAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a, b := r.enter("a"), r.enter("b")
	key := r.keys(1)[0]
	b.claims(key)
	l, err := a.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	a.registry.turn <- struct{}{} // another goroutine is reading
	cancel()
	if name, err := a.registry.name(ctx, l, hostHash(r.queue, "b")); name != "" || err == nil {
		t.Errorf("%q, %v", name, err)
	}
	<-a.registry.turn
	if owner := a.looks(key); owner != "b" {
		t.Errorf("owner is %q", owner)
	}
	if time.Since(a.registry.read) > namesFor {
		t.Error("the names were not read")
	}
}

// TestUnclaimEnded: Unclaim takes the holder away also if its context ends before its turn.
func TestUnclaimEnded(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a, key := r.enter("a"), r.keys(1)[0]
	a.claims(key)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	busy := a.held.alone(t.Context(), key, func(*hold) error {
		if err := a.Unclaim(ctx, key); !errors.Is(err, context.Canceled) {
			t.Errorf("Unclaim: %v", err)
		}
		return nil
	})
	if busy != nil || len(a.held.keys) != 0 {
		t.Errorf("%d keys are held, %v", len(a.held.keys), busy)
	}
	a.unclaims(key) // the claim is this host's still
	if owner := a.looks(key); owner != "-" {
		t.Errorf("owner is %q", owner)
	}
}
