package claims

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// release releases a host.
func (r *rig) release(name string) Released {
	r.t.Helper()
	done, err := Release(r.t.Context(), r.link(), r.queue, name)
	if err != nil {
		r.t.Error(err)
	}
	return done
}

// TestRelease: the messages of a released host go back to the queue, in order, and its claims hold no longer.
func TestRelease(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, kind)
			a, b := r.enter("a"), r.enter("b")
			keys := r.keys(101)
			for _, key := range keys {
				a.claims(key)
			}
			claim, err := b.Look(t.Context(), keys[0])
			if err != nil {
				t.Fatal(err)
			}
			var bodies []string
			for i := range 100 { // keys[100] is of a job whose message is not here
				bodies = append(bodies, fmt.Sprint(i))
				if !r.forward(claim.Address, bodies[i]) {
					t.Fatal("not stored")
				}
			}
			for _, m := range []amqp.Publishing{{Body: []byte("stop")}, {Headers: amqp.Table{wire.HeaderMoved: true}}} {
				r.publishBy(claim.Address, ControlKey, m)
			}
			r.note(claim.Address)
			r.peer.Expect(ControlQueue(r.queue, "a"), "stop", "")
			r.publishBy(claim.Address, ControlKey, amqp.Publishing{Body: []byte("stop")})
			r.publishBy(claim.Address, ControlKey, amqp.Publishing{Headers: amqp.Table{wire.HeaderMoved: true}})
			if _, err := Release(t.Context(), r.link(), r.queue, "a"); !errors.Is(err, ErrAlive) {
				t.Errorf("a host that is alive: %v", err)
			}
			a.leave()
			if done := r.release("a"); done != (Released{Epoch: 0, Messages: 101}) {
				t.Errorf("%+v", done)
			}
			r.peer.Expect(r.queue, append(bodies, "stop")...)
			for _, i := range []int{0, 100} {
				if owner := b.looks(keys[i]); owner != "-" {
					t.Errorf("owner of %d is %q", i, owner)
				}
				if ok, err := r.exists(claimExchange(r.queue, keys[i], 0)); !ok || err != nil {
					t.Errorf("the void claim of %d was deleted: %v", i, err)
				}
				if b.claims(keys[i]) != "" || r.forward(claimExchange(r.queue, keys[i], 0), "late") {
					t.Errorf("the void claim of %d holds", i)
				}
			}
			if done := r.release("a"); done != (Released{}) {
				t.Errorf("again: %+v", done)
			}
			if _, err := Release(t.Context(), r.link(), r.queue, "c"); !errors.Is(err, intake.ErrNoHost) {
				t.Errorf("a host that never was: %v", err)
			}
		})
	}
}

// exists reports whether there is an exchange.
func (r *rig) exists(exchange string) (bool, error) {
	return newLine(r.link()).exists(r.t.Context(), exchange)
}

// TestEpochs: a released host that comes back is another one, and goes on behind the others.
func TestEpochs(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	b := r.enter("b")
	key := r.keys(1)[0]
	for epoch := range 2 {
		a := r.enter("a")
		if want := fmt.Sprintf("a.%d", epoch); a.Host() != want {
			t.Errorf("host is %s, want %s", a.Host(), want)
		}
		if owner := a.claims(key); owner != "" {
			t.Errorf("epoch %d: owner is %q", epoch, owner)
		}
		if owner := b.claims(key); owner != "a" {
			t.Errorf("epoch %d: owner is %q", epoch, owner)
		}
		a.leave()
		if done := r.release("a"); done != (Released{Epoch: epoch}) {
			t.Errorf("%+v", done)
		}
		if owner := b.looks(key); owner != "-" {
			t.Errorf("epoch %d: owner is %q", epoch, owner)
		}
	}
	b.claims(key)
	a := r.enter("a")
	if owner := a.claims(key); a.Host() != "a.2" || owner != "b" {
		t.Errorf("%s: owner is %q", a.Host(), owner)
	}
	claim, err := a.Look(t.Context(), key)
	if err != nil || claim.Address != claimExchange(r.queue, key, 2) {
		t.Errorf("%+v, %v", claim, err)
	}
	b.unclaims(key)
	if owner := a.claims(key); owner != "" {
		t.Errorf("owner is %q", owner)
	}
	// The claim for another host is that of its life, too.
	claimed, err := b.ClaimFor(t.Context(), r.keys(1)[0], "a")
	if err != nil || claimed.Host != "a" || !r.forward(claimed.Address, "for a.2") {
		t.Errorf("%+v, %v", claimed, err)
	}
	r.peer.Expect(HostQueue(r.queue, "a"), "for a.2")
}

// TestReleasedWhileAway: a host that was released while it was away from the broker learns of it, and ends.
func TestReleasedWhileAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	proxy := brokertest.NewProxy(t)
	a := r.start("a", through(proxy))
	a.wait()
	proxy.SetRefuse(true)
	proxy.Cut()
	brokertest.Eventually(t, "a is released", func() bool {
		_, err := Release(t.Context(), r.link(), r.queue, "a")
		return err == nil
	})
	proxy.SetRefuse(false)
	if err := a.ended(); !errors.Is(err, wire.ErrReleased) || !wire.Fatal(err) {
		t.Errorf("Run: %v", err)
	}
	if a = r.enter("a"); a.Host() != "a.1" {
		t.Errorf("host is %s", a.Host())
	}
}

// TestReleaseLate: a message that was on its way to a host when its exchange was deleted goes back to the queue, too.
func TestReleaseLate(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	r.enter("a").leave()
	link, released := r.link(), make(chan Released, 1)
	go func() {
		done, err := Release(t.Context(), link, r.queue, "a")
		if err != nil {
			t.Error(err)
		}
		released <- done
	}()
	brokertest.Eventually(t, "the exchange is deleted", func() bool {
		ok, err := r.exists(life{hash: hostHash(r.queue, "a")}.exchange())
		return !ok && err == nil
	})
	r.peer.Send(HostQueue(r.queue, "a"), amqp.Publishing{Body: []byte("late")})
	if done := <-released; done != (Released{Messages: 1}) {
		t.Errorf("%+v", done)
	}
	r.peer.Expect(r.queue, "late")
}

// TestReleaseCutOff: a release that is cut off anywhere is finished by the next one. No message is lost or doubled, and no
// claim that holds is left.
func TestReleaseCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	a, b := r.enter("a"), r.enter("b")
	keys := r.keys(12)
	var want []string
	for i, key := range keys {
		a.claims(key)
		r.publishBy(claimExchange(r.queue, key, 0), []string{"", ControlKey}[i%2], amqp.Publishing{Body: []byte(key.Key), DeliveryMode: amqp.Persistent})
		want = append(want, key.Key)
	}
	a.leave()
	proxy := brokertest.NewProxy(t)
	d := dialer(t, brokertest.URL(t))
	d.Connect = proxy.Dial
	tries, all := 0, 0
	for done := false; !done; tries++ {
		link, err := d.Open(t.Context(), "operator", func(*wire.Link) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		proxy.CutAfter(400+150*tries, brokertest.Way(tries%2))
		var freed Released
		brokertest.Eventually(t, "the last connection has ended", func() bool {
			freed, err = Release(t.Context(), link, r.queue, "a")
			return !errors.Is(err, ErrAlive)
		})
		all, done = all+freed.Messages, err == nil
		d.Part(link, done)
		proxy.CutAfter(-1, brokertest.Way(tries%2))
	}
	t.Logf("%d tries, %d messages", tries, all)
	if tries < 4 {
		t.Error("too few to tell anything")
	}
	var got []string
	for _, d := range r.peer.ExpectAny(r.queue, len(want)) {
		got = append(got, string(d.Body))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("messages are %q, want %q", got, want)
	}
	r.peer.Expect(HostQueue(r.queue, "a"))
	r.peer.Expect(ControlQueue(r.queue, "a"))
	for _, key := range keys {
		if owner := b.claims(key); owner != "" {
			t.Errorf("owner is %q", owner)
		}
	}
}

// TestReleaseWithoutQueues: a host whose queues somebody has deleted is released all the same.
func TestReleaseWithoutQueues(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a, b := r.enter("a"), r.enter("b")
	key := r.keys(1)[0]
	a.claims(key)
	a.leave()
	r.peer.Delete(HostQueue(r.queue, "a"), ControlQueue(r.queue, "a"))
	r.release("a")
	if owner := b.claims(key); owner != "" {
		t.Errorf("owner is %q", owner)
	}
	if _, err := Release(t.Context(), r.link(), r.queue, "a"); !errors.Is(err, intake.ErrNoHost) {
		t.Errorf("again: %v", err)
	}
}

// mark releases a host, and is killed as soon as it cannot be taken back.
func (r *rig) mark(host string) {
	r.t.Helper()
	of := life{hash: hostHash(r.queue, host)}
	if ok, err := newLine(r.link()).declare(r.t.Context(), of.marker(), of.exchange()); !ok || err != nil {
		r.t.Fatal(ok, err)
	}
}

// TestEnterFinishes: if a release was killed once it could not be taken back, the host's next life makes the claims of the last void.
func TestEnterFinishes(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a, b := r.enter("a"), r.enter("b")
	key := r.keys(1)[0]
	a.claims(key)
	a.leave()
	r.mark("a")
	if a = r.enter("a"); a.Host() != "a.1" {
		t.Errorf("host is %s", a.Host())
	}
	if owner := b.claims(key); owner != "" {
		t.Errorf("owner is %q", owner)
	}
	if owner := a.claims(key); owner != "b" {
		t.Errorf("owner is %q", owner)
	}
}

// TestReleaseKilled: a release that is killed with half of the messages moved has made all claims void. A host that comes back
// then has no claim of a job that another host runs.
func TestReleaseKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	a, b := r.enter("a"), r.enter("b")
	keys := r.keys(20)
	for _, key := range keys {
		a.claims(key)
		r.forward(claimExchange(r.queue, key, 0), key.Key)
	}
	a.leave()
	ctx, kill := context.WithCancel(t.Context())
	link, killed := r.link(), make(chan error, 1)
	go func() { killed <- second(Release(ctx, link, r.queue, "a")) }()
	brokertest.Eventually(t, "a message has gone back", func() bool { return r.peer.Ready(r.queue) > 0 })
	kill()
	link.Wire.Abort()
	if err := <-killed; err == nil {
		t.Error("the release was not killed")
	}
	if back := r.enter("a"); back.Host() != "a.1" {
		t.Errorf("host is %s", back.Host())
	}
	for _, key := range keys {
		if owner := b.claims(key); owner != "" {
			t.Errorf("%s: owner is %q", key.Key, owner)
		}
	}
}
