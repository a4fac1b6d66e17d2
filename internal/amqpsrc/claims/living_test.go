package claims

import (
	"maps"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
)

// aliveNow returns the labels of the hosts that h knows to be alive, by name.
func (h *host) aliveNow() map[string]map[string]string {
	h.rig.t.Helper()
	h.living.at = time.Time{}
	all, err := h.Living(h.rig.t.Context())
	if err != nil {
		h.rig.t.Error(err)
	}
	hosts := make(map[string]map[string]string)
	for _, one := range all {
		hosts[one.Name] = one.Labels
	}
	if len(hosts) != len(all) {
		h.rig.t.Errorf("a host twice: %v", all)
	}
	return hosts
}

// labelled starts a host with a label, and waits for its sign of life.
func (r *rig) labelled(name, gpu string) *host {
	h := r.start(name, func(c *Claims) { c.config.Labels = map[string]string{"gpu": gpu} })
	h.wait()
	// A sign of life that is published while another one is read can stay behind that one.
	brokertest.Eventually(r.t, "a sign of life of "+name, func() bool { return r.peer.Ready(seenQueue(r.queue, name)) == 1 })
	return h
}

// TestLiving: the hosts that are alive are known with their labels. A host that has gone is not among them, and one whose labels
// cannot be read keeps those that are known.
func TestLiving(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	a, b := r.labelled("a", "none"), r.labelled("b", "one")
	gone := r.labelled("gone", "two")
	is := func(what string, got, want map[string]map[string]string) {
		t.Helper()
		if !maps.EqualFunc(got, want, maps.Equal[map[string]string, map[string]string]) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	one, two, none := map[string]string{"gpu": "one"}, map[string]string{"gpu": "two"}, map[string]string{"gpu": "none"}
	is("all", a.aliveNow(), map[string]map[string]string{"a": none, "b": one, "gone": two})
	gone.leave()
	is("one has gone", a.aliveNow(), map[string]map[string]string{"a": none, "b": one})

	// Another reader has the sign of life.
	r.peer.Do(func(ch *amqp.Channel) error {
		d, ok, err := ch.Get(seenQueue(r.queue, "b"), false)
		if err != nil || !ok {
			t.Fatal("no sign of life of b", err)
		}
		is("its labels are known", a.aliveNow(), map[string]map[string]string{"a": none, "b": one})
		c := r.labelled("c", "two")
		is("they are not known", c.aliveNow(), map[string]map[string]string{"a": none, "c": two})
		return d.Nack(false, true) // multiple, requeue
	})
	b.leave()
	r.peer.Take(seenQueue(r.queue, "b"))
	r.labelled("b", "two")
	is("other labels", a.aliveNow(), map[string]map[string]string{"a": none, "b": two, "c": two})

	// What was asked for just now is not asked for again.
	before, err := a.Living(t.Context())
	if err != nil || len(before) != 3 {
		t.Error(before, err)
	}
	r.labelled("d", "x")
	if after, err := a.Living(t.Context()); err != nil || len(after) != 3 {
		t.Error(after, err)
	}
}

// TestLivingAtOnce: hosts that ask at the same time all know all that are alive.
func TestLivingAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	var work sync.WaitGroup
	defer work.Wait()
	for _, h := range []*host{r.labelled("a", "x"), r.labelled("b", "x"), r.labelled("c", "x"), r.labelled("d", "x")} {
		work.Go(func() {
			for range 20 {
				if alive := h.aliveNow(); len(alive) != 4 {
					t.Errorf("%s knows of %v", h.config.Host, alive)
				}
			}
		})
	}
}
