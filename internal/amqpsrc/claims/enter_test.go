package claims

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// fails starts a host, and returns the error with which Run ends.
func (r *rig) fails(name string, change func(*Claims)) error {
	r.t.Helper()
	h := r.start(name, change)
	err := h.ended()
	if !wire.Fatal(err) {
		r.t.Errorf("Run: %v", err)
	}
	if open, _ := h.Entered().State(); open {
		r.t.Error("the gate is open")
	}
	return err
}

// TestTwoEngines: a host's name belongs to one engine.
func TestTwoEngines(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	r.enter("a").leave()
	r.enter("a").leave()
	err := r.fails("a", func(c *Claims) {
		c.config.EngineID = func(context.Context) (string, error) { return "OTHER", nil }
	})
	if !errors.Is(err, wire.ErrHostEngine) || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("Run: %v", err)
	}
}

// TestOneQueueBefore: a host of an earlier version, whose exchange is a fanout, keeps its life and its claims.
func TestOneQueueBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	a := r.enter("a")
	key := r.keys(1)[0]
	a.claims(key)
	a.leave()
	of := life{hash: hostHash(r.queue, "a")}
	l := newLine(r.link())
	if err := l.remove(t.Context(), of.exchange()); err != nil {
		t.Fatal(err)
	}
	if ok, err := l.declare(t.Context(), of.exchange(), enginePrefix+"ENGINE:OF:a"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := r.fails("a", func(c *Claims) {
		c.config.EngineID = func(context.Context) (string, error) { return "OTHER", nil }
	}); !errors.Is(err, wire.ErrHostEngine) {
		t.Errorf("another engine: %v", err)
	}
	if a = r.enter("a"); a.Host() != "a.0" {
		t.Errorf("host is %s", a.Host())
	}
	r.publishBy(claimExchange(r.queue, key, 0), ControlKey, amqp.Publishing{Body: []byte("stop")})
	r.forward(claimExchange(r.queue, key, 0), "run")
	r.peer.Expect(ControlQueue(r.queue, "a"), "stop")
	r.peer.Expect(HostQueue(r.queue, "a"), "run")
}

// TestNameInUse: a second daemon with a host's name waits for the first to end, for a while.
func TestNameInUse(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	a := r.enter("a")
	second := r.start("a", nil)
	second.log.Wait(t, wire.ErrHostTaken.Error())
	if err := r.fails("a", func(c *Claims) { c.patience = time.Millisecond }); !errors.Is(err, wire.ErrHostTaken) {
		t.Errorf("Run: %v", err)
	}
	a.leave()
	second.wait()
}

// TestEngineAway: a host enters once the engine has told its ID.
func TestEngineAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	asked := 0
	h := r.start("a", func(c *Claims) {
		c.config.EngineID = func(context.Context) (string, error) {
			if asked++; asked == 1 {
				return "", errors.New("away")
			}
			return "ID", nil
		}
	})
	h.wait()
	if h.leave(); asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// TestHostQueueDiffers: a host queue whose rejected messages would not go back to the shared queue is refused.
func TestHostQueueDiffers(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	r.peer.Declare(HostQueue(r.queue, "a"), "quorum")
	if err := r.fails("a", nil); !errors.Is(err, wire.ErrHostQueue) || !strings.Contains(err.Error(), "x-dead-letter") {
		t.Errorf("Run: %v", err)
	}
}

// TestPermissions: a permission that claims need is missed at the start, and the error says what they need. Nothing else is needed.
func TestPermissions(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	all := pattern(r.queue)
	user := brokertest.NewUser(t)
	as := func(c *Claims) { c.dialer.Address = dialer(t, user.URL(brokertest.Password)).Address }
	const write = "|^amq[.]default$"
	for _, name := range []string{"claim", "h", "engine"} {
		less := strings.Replace(strings.Replace(all, name+"|", "", 1), "|"+name+")", ")", 1)
		for i, patterns := range [][3]string{{less, all, all}, {all, less, all}, {all, all, less}} {
			if name == "engine" && i != 1 {
				continue // no such exchange is made
			}
			user.Permit(patterns[0], patterns[1]+write, patterns[2])
			err := r.fails(name+fmt.Sprint(i), as) // another host each time: what exists needs fewer permissions
			if !errors.Is(err, wire.ErrHostForbidden) || !strings.Contains(err.Error(), all) {
				t.Errorf("without %s, %d: %v", name, i, err)
			}
		}
	}
	queues := strings.Replace(all, "host", "no", 1)
	for i, patterns := range [][3]string{{queues, all, all}, {all, queues, all}, {all, all, queues}} {
		user.Permit(patterns[0], patterns[1]+write, patterns[2])
		if err := r.fails(fmt.Sprint("q", i), as); !errors.Is(err, wire.ErrHostForbidden) {
			t.Errorf("without queues, %d: %v", i, err)
		}
	}

	user.Permit(all, all+write, all)
	h := r.start("a", as)
	h.wait()
	key := r.keys(1)[0]
	h.claims(key)
	if owner := h.looks(key); owner != "a" {
		t.Errorf("owner is %q", owner)
	}
	h.unclaims(key)
	if owner := h.looks(key); owner != "-" {
		t.Errorf("owner is %q", owner)
	}
	brokertest.Eventually(t, "a sign of life", func() bool { return r.peer.Ready(seenQueue(r.queue, "a")) == 1 })
}

// TestLongNames: the longest virtual host leaves room for an owner's name in the broker's error. A longer one is refused.
func TestLongNames(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	for _, n := range []int{mostVHost, mostVHost + 1} {
		vhost := strings.ToLower(r.queue + strings.Repeat("v", n))[:n]
		brokertest.Eval(t, `rabbit_vhost:add(<<"%s">>, <<"test">>)`, vhost)
		t.Cleanup(func() { brokertest.Eval(t, `rabbit_vhost:delete(<<"%s">>, <<"test">>)`, vhost) })
		brokertest.Eval(t, `rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"%s">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>)`, vhost)
		to, err := url.Parse(brokertest.URL(t))
		if err != nil {
			t.Fatal(err)
		}
		to.Path = "/" + vhost
		in := func(c *Claims) { c.dialer.Address = dialer(t, to.String()).Address }
		if n > mostVHost {
			if err := r.fails("a", in); !errors.Is(err, wire.ErrHostNames) {
				t.Errorf("%d bytes: Run: %v", n, err)
			}
			continue
		}
		h := r.start("a", in)
		h.wait()
		l, err := h.current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		last, claim := life{hostHash(r.queue, "a"), mostEpochs - 1}, claimExchange(r.queue, r.keys(1)[0], 0)
		if ok, err := l.declare(t.Context(), claim, last.exchange()); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if owner, err := l.owner(t.Context(), claim); owner != last || err != nil {
			t.Errorf("owner is %+v, %v", owner, err)
		}
		if owner, err := l.claim(t.Context(), claim, life{hostHash(r.queue, "b"), mostEpochs - 1}, majorityQueue(r.queue)); owner != last || err != nil {
			t.Errorf("another claims: owner is %+v, %v", owner, err)
		}
		h.leave()
	}
	long := strings.Repeat("q", 255-len(".host."+"a"+".control")+1)
	if err := r.fails("a", func(c *Claims) { c.config.Queue = long }); !errors.Is(err, wire.ErrHostNames) {
		t.Errorf("Run: %v", err)
	}
}

// TestRecordedOnce: however often a host enters, there is one record of it.
func TestRecordedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	for range 2 {
		r.enter("a").leave()
		r.enter("b").leave()
	}
	if n := r.peer.Ready(RecordsQueue(r.queue)); n != 2 {
		t.Errorf("%d records", n)
	}
	r.peer.Do(func(ch *amqp.Channel) error {
		_, err := ch.QueueDelete(HostQueue(r.queue, "a"), false, false, false)
		return err
	})
	r.enter("a")
	hosts, err := Hosts(t.Context(), r.link(), r.queue)
	if err != nil || len(hosts) != 2 {
		t.Errorf("%+v, %v", hosts, err)
	}
}

// TestRecordedAgain: if the queue of all hosts was deleted, a host is recorded once more when it enters, and with a sign of life.
func TestRecordedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	r.enter("a").leave()
	r.peer.Delete(RecordsQueue(r.queue))
	a := r.enter("a")
	if n := r.peer.Ready(RecordsQueue(r.queue)); n != 1 {
		t.Errorf("%d records", n)
	}
	r.peer.Delete(RecordsQueue(r.queue))
	for range 2 {
		if err := a.keepRecord(t.Context(), r.link()); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.peer.Ready(RecordsQueue(r.queue)); n != 1 {
		t.Errorf("%d records", n)
	}
}
