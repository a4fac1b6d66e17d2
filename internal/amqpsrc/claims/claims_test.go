package claims

import (
	"context"
	"errors"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestFirstWins: of two hosts that claim the same keys at the same time, exactly one has each, and the other is told which.
func TestFirstWins(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	a, b := r.enter("a"), r.enter("b")
	const n = 300
	keys := r.keys(n)
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
	key := r.keys(1)[0]
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

// TestFormerProcess: the claims of a former process are this host's, and go with the first Unclaim.
func TestFormerProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	key := r.keys(1)[0]
	a, b := r.enter("a"), r.enter("b")
	a.claims(key)
	a.leave()
	a = r.enter("a")
	if owner := a.looks(key); owner != "a" || a.Host() != "a.0" {
		t.Errorf("%s: owner is %q", a.Host(), owner)
	}
	a.unclaims(key)
	if owner := b.looks(key); owner != "-" {
		t.Errorf("owner is %q", owner)
	}
}

// TestAddress: a message that is published to a claim comes to its owner, and to nobody else.
func TestAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	a, b := r.enter("a"), r.enter("b")
	keys := r.keys(2)
	a.claims(keys[0])
	b.claims(keys[1])
	for i, h := range []*host{b, a} {
		claim, err := h.Look(t.Context(), keys[i])
		if err != nil {
			t.Fatal(err)
		}
		r.forward(claim.Address, []string{"for a", "for b"}[i])
	}
	r.peer.Expect(HostQueue(r.queue, "a"), "for a")
	r.peer.Expect(HostQueue(r.queue, "b"), "for b")
	r.peer.Expect(r.queue)
}

// TestClaimFor: a key is claimed for another host that once was there, whether it is alive or not.
func TestClaimFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a, b := r.enter("a"), r.enter("b")
	keys := r.keys(4)
	b.claims(keys[1])
	b.leave()
	for i, want := range []struct{ host, owner string }{{"b", "b"}, {"a", "b"}, {"a", "a"}} {
		claim, err := a.ClaimFor(t.Context(), keys[i], want.host)
		if err != nil || claim.Host != want.owner || claim.Ours != (want.owner == "a") || claim.Address == "" {
			t.Errorf("%s: %+v, %v", want.host, claim, err)
		}
	}
	if _, err := a.ClaimFor(t.Context(), keys[3], "c"); !errors.Is(err, intake.ErrNoHost) || a.looks(keys[3]) != "-" {
		t.Errorf("a host that never was: %v", err)
	}
	r.enter("c") // after the names were read
	if claim, err := a.ClaimFor(t.Context(), keys[3], "c"); err != nil || claim.Host != "c" {
		t.Errorf("a host that has just come: %+v, %v", claim, err)
	}
}

// TestStranger: an exchange in the place of a claim that no host made is an error, and stays.
func TestStranger(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a := r.enter("a")
	for i, make := range []func(ch *amqp.Channel, name string) error{
		func(ch *amqp.Channel, name string) error {
			return ch.ExchangeDeclare(name, "direct", true, false, false, false, nil)
		},
		func(ch *amqp.Channel, name string) error {
			return ch.ExchangeDeclare(name, "fanout", true, false, false, false, nil)
		},
		func(ch *amqp.Channel, name string) error { return declare(ch, "fanout", name, "docker-dispatch.h..0") },
		func(ch *amqp.Channel, name string) error { return declare(ch, amqp.ExchangeFanout, name, "amq.direct") },
	} {
		key := r.keys(1)[0]
		r.peer.Do(func(ch *amqp.Channel) error { return make(ch, claimExchange(r.queue, key, 0)) })
		for what, err := range map[string]error{
			"claim":   second(a.Claim(t.Context(), key)),
			"look":    second(a.Look(t.Context(), key)),
			"unclaim": a.Unclaim(t.Context(), key),
		} {
			if err == nil {
				t.Errorf("%d: %s succeeds", i, what)
			}
		}
	}
}

// TestUnknownOwner: a claim counts until its owner was released, also if nobody knows the owner's name.
func TestUnknownOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a := r.enter("a")
	key := r.keys(1)[0]
	r.peer.Do(func(ch *amqp.Channel) error {
		return declare(ch, amqp.ExchangeFanout, claimExchange(r.queue, key, 0), life{hash: hostHash(r.queue, "b")}.exchange())
	})
	other, err := a.Claim(t.Context(), key)
	if err != nil || other == nil || *other != (intake.Claim{Address: claimExchange(r.queue, key, 0)}) {
		t.Errorf("%+v, %v", other, err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestLostAnswer: a delete whose answer is lost is not made again, if another host has claimed the key since.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	proxy := brokertest.NewProxy(t)
	b := r.enter("b") // first: the broker may refuse a message to a queue of the hosts that was made just now
	a := r.start("a", through(proxy))
	a.wait()
	keys := r.keys(mostCalls) // each opens a channel
	for _, key := range keys {
		a.claims(key)
	}
	key := keys[0]
	proxy.Conn(0).Stall(1, brokertest.ToClient)
	gone := make(chan error, 1)
	go func() { gone <- a.Unclaim(t.Context(), key) }()
	brokertest.Eventually(t, "b has the key", func() bool { return b.claims(key) == "" })
	proxy.Conn(0).Cut()
	if err := <-gone; err != nil {
		t.Error(err)
	}
	if owner := a.looks(key); owner != "b" {
		t.Errorf("owner is %q", owner)
	}
}

// TestDeleteFirst: a claim that is made while the last one of the key is deleted comes after it.
func TestDeleteFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	proxy := brokertest.NewProxy(t)
	b := r.enter("b") // first: the broker may refuse a message to a queue of the hosts that was made just now
	a := r.start("a", through(proxy))
	a.wait()
	keys := r.keys(mostCalls) // each opens a channel
	for _, key := range keys {
		a.claims(key)
	}
	key := keys[0]
	proxy.Conn(0).Stall(1, brokertest.ToClient)
	gone := make(chan error, 1)
	go func() { gone <- a.Unclaim(t.Context(), key) }()
	brokertest.Eventually(t, "the claim is deleted", func() bool { return b.looks(key) == "-" })
	made := make(chan string, 1)
	go func() { made <- a.claims(key) }()
	brokertest.Eventually(t, "the new claim waits", func() bool {
		a.held.mu.Lock()
		defer a.held.mu.Unlock()
		return a.held.keys[key].users == 2
	})
	proxy.Conn(0).Cut()
	if err := <-gone; err != nil {
		t.Error(err)
	}
	if owner := <-made; owner != "" || b.looks(key) != "a" {
		t.Errorf("owner is %q, and of b %q", owner, b.looks(key))
	}
}

// TestHeldAtOnce: what this process holds it finds without the broker.
func TestHeldAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	proxy := brokertest.NewProxy(t)
	a := r.start("a", through(proxy))
	a.wait()
	keys := r.keys(2)
	a.claims(keys[0])
	proxy.SetRefuse(true)
	proxy.Cut()
	if a.claims(keys[0]) != "" || a.looks(keys[0]) != "a" {
		t.Error("not held")
	}
	ctx, stop := context.WithCancel(t.Context())
	waits := make(chan error, 1)
	go func() { waits <- second(a.Claim(ctx, keys[1])) }()
	stop()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Errorf("a claim that waits for the broker: %v", err)
	}
	proxy.SetRefuse(false)
}

// TestCuts: connections that are cut at any byte cost no claim and leave none.
func TestCuts(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	proxy := brokertest.NewProxy(t)
	b := r.enter("b") // first: the broker may refuse a message to a queue of the hosts that was made just now
	a := r.start("a", through(proxy))
	a.wait()
	const rounds = 4
	keys := r.keys(rounds * 2 * mostCalls)
	for round := range rounds {
		proxy.CutAfter(50+150*round, brokertest.Way(round%2))
		var work sync.WaitGroup
		for k := round; k < len(keys); k += rounds {
			work.Go(func() {
				if owner := a.claims(keys[k]); owner != "" {
					t.Errorf("key %d: owner is %q", k, owner)
				}
				if k%3 == 0 {
					a.unclaims(keys[k])
				}
			})
		}
		work.Wait()
	}
	for k, key := range keys {
		want := "a"
		if k%3 == 0 {
			want = "-"
		}
		if owner := b.looks(key); owner != want {
			t.Errorf("key %d: owner is %q, want %q", k, owner, want)
		}
	}
	if n := proxy.Count(); n < rounds {
		t.Errorf("only %d connections", n)
	}
}

// TestTakenAway: held claims are made again on each new connection. If another host has one by then, this host was released in part,
// and must not go on.
func TestTakenAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	proxy := brokertest.NewProxy(t)
	b := r.enter("b") // first: the broker may refuse a message to a queue of the hosts that was made just now
	a := r.start("a", through(proxy))
	a.wait()
	keys := r.keys(2)
	for _, key := range keys {
		a.claims(key)
	}
	away := func(while func()) {
		proxy.SetRefuse(true)
		proxy.Cut()
		brokertest.Eventually(t, "the gate is closed", func() bool { open, _ := a.Entered().State(); return !open })
		while()
		proxy.SetRefuse(false)
	}
	remove := func(key intake.ClaimKey) {
		r.peer.Do(func(ch *amqp.Channel) error { return ch.ExchangeDelete(claimExchange(r.queue, key, 0), false, false) })
	}
	away(func() { remove(keys[0]) })
	a.wait()
	if owner := b.looks(keys[0]); owner != "a" {
		t.Errorf("owner is %q", owner)
	}
	away(func() {
		remove(keys[1])
		b.claims(keys[1])
	})
	if err := a.ended(); !errors.Is(err, wire.ErrReleased) {
		t.Errorf("Run: %v", err)
	}
	if owner := b.looks(keys[1]); owner != "b" {
		t.Errorf("owner is %q", owner)
	}
	if _, err := a.Claim(t.Context(), r.keys(1)[0]); err == nil {
		t.Error("a claim is made after the end")
	}
}
