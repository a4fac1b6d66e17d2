package claims

import (
	"context"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
)

// TestClaimsDuringAlarm: a broker that takes no messages takes claims, also from a host that connects again.
func TestClaimsDuringAlarm(t *testing.T) {
	r := newRig(t, "classic")
	proxy := brokertest.NewProxy(t)
	a, b := r.start("a", through(proxy)), r.enter("b")
	a.wait()
	brokertest.Eventually(t, "a sign of life", func() bool { return r.peer.Ready(seenQueue(r.queue, "a")) == 1 })
	keys := r.keys(2)
	brokertest.Change(t, "vm_memory_monitor:set_vm_memory_high_watermark(0.00001)", "vm_memory_monitor:set_vm_memory_high_watermark(0.4)")
	blocked := r.peer.Conn().NotifyBlocked(make(chan amqp.Blocking, 2))
	stored := make(chan bool, 1)
	go func() { stored <- r.forward("", "is not stored before the alarm ends") }()
	<-blocked
	for i, key := range keys {
		if owner := a.claims(key); owner != "" {
			t.Errorf("owner is %q", owner)
		}
		if owner := b.claims(key); owner != "a" {
			t.Errorf("owner is %q", owner)
		}
		if i == 0 {
			proxy.Cut()
			brokertest.Eventually(t, "the gate is closed", func() bool { open, _ := a.Entered().State(); return !open })
			a.wait()
		}
	}
	select {
	case <-stored:
		t.Error("there was no alarm")
	default:
	}
	brokertest.Eval(t, "vm_memory_monitor:set_vm_memory_high_watermark(0.4)")
	<-stored
}

// TestClaimsOutliveBroker: a broker that is killed knows all claims when it is back, and a host goes on by itself.
func TestClaimsOutliveBroker(t *testing.T) {
	brokertest.Disturbs(t)
	r := newRig(t, "quorum")
	a, b := r.enter("a"), r.enter("b")
	keys := r.keys(200)
	for _, key := range keys {
		a.claims(key)
	}
	for _, key := range keys[:50] {
		a.unclaims(key)
	}
	a.leave() // else it would make its claims again
	services(t, "kill", "broker")
	brokertest.Eventually(t, "the gate is closed", func() bool { open, _ := b.Entered().State(); return !open })
	claimed := make(chan string)
	go func() { claimed <- b.claims(keys[0]) }() // waits for the broker
	began := time.Now()
	services(t, "up", "broker")
	if owner := <-claimed; owner != "" {
		t.Errorf("owner is %q", owner)
	}
	t.Logf("claimed %v after the start", time.Since(began))
	for i, key := range keys {
		want := "a"
		if i < 50 {
			want = "-"
		}
		if i == 0 {
			want = "b"
		}
		if owner := b.looks(key); owner != want {
			t.Errorf("owner of %d is %q, want %q", i, owner, want)
		}
	}
}

// services has scripts/services start, end or part servers.
func services(t *testing.T, args ...string) {
	t.Helper()
	brokertest.Disturbs(t)
	if out, err := exec.Command(brokertest.Required(t, "DISPATCH_TEST_SERVICES"), args...).CombinedOutput(); err != nil {
		t.Fatalf("services %q: %v\n%s", args, err, out)
	}
}

// TestClaimsWhileParted: a host claims at a node that is parted from its cluster, and another host claims the same keys at another
// node. Each key has one owner.
func TestClaimsWhileParted(t *testing.T) {
	nodes := strings.Fields(brokertest.Required(t, "DISPATCH_TEST_CLUSTER"))
	t.Setenv("AMQP_URL", nodes[1])
	r := newRig(t, "quorum")
	b := r.enter("b")
	a := r.start("a", func(c *Claims) { c.dialer = dialer(t, nodes[0]) })
	a.wait()
	const n = 2 * mostCalls // more are not asked for at a time
	keys := r.keys(n)
	services(t, "cut", "broker1")
	t.Cleanup(func() { services(t, "heal", "broker1") })
	var owners [2][n]string
	var work [2]sync.WaitGroup
	for i, h := range []*host{a, b} {
		for k, key := range keys {
			work[i].Go(func() { owners[i][k] = h.claims(key) })
		}
	}
	work[1].Wait()
	brokertest.Eventually(t, "the parted node has paused", func() bool { open, _ := a.Entered().State(); return !open })
	services(t, "heal", "broker1")
	work[0].Wait()
	for k := range keys {
		if owners[0][k] == owners[1][k] {
			t.Errorf("key %d: a is told that the owner is %q, b that it is %q; empty is itself", k, owners[0][k], owners[1][k])
		}
	}
}

// TestUnclaimsWhileParted: a host gives claims up at a node that is parted from its cluster. It is not told that it did.
func TestUnclaimsWhileParted(t *testing.T) {
	nodes := strings.Fields(brokertest.Required(t, "DISPATCH_TEST_CLUSTER"))
	t.Setenv("AMQP_URL", nodes[1])
	r := newRig(t, "quorum")
	a := r.start("a", func(c *Claims) { c.dialer = dialer(t, nodes[0]) })
	a.wait()
	keys := r.keys(2 * mostCalls)
	for _, key := range keys {
		a.claims(key)
	}
	services(t, "cut", "broker1")
	t.Cleanup(func() { services(t, "heal", "broker1") })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var work sync.WaitGroup
	for k, key := range keys {
		work.Go(func() {
			if err := a.Unclaim(ctx, key); err == nil {
				t.Errorf("key %d was given up", k)
			}
		})
	}
	brokertest.Eventually(t, "the parted node has paused", func() bool { open, _ := a.Entered().State(); return !open })
	cancel()
	work.Wait()
}
