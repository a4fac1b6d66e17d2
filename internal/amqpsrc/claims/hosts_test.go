package claims

import (
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
)

// TestHosts: an operator sees all hosts that ever were, and how each is.
func TestHosts(t *testing.T) {
	t.Parallel()
	r := newRig(t, "quorum")
	link := r.link()
	if all, err := Hosts(t.Context(), link, r.queue); err != nil || len(all) != 0 {
		t.Errorf("before any: %+v, %v", all, err)
	}
	began := time.Now().Add(-time.Second)
	c, b, a := r.enter("c"), r.enter("b"), r.enter("a")
	for _, h := range []*host{a, b, c} {
		brokertest.Eventually(t, "a sign of life", func() bool { return r.peer.Ready(seenQueue(r.queue, h.config.Host)) == 1 })
	}
	key := r.keys(1)[0]
	b.claims(key)
	r.forward(claimExchange(r.queue, key, 0), "1")
	r.publishBy(claimExchange(r.queue, key, 0), ControlKey, amqp.Publishing{Body: []byte("2")})
	b.leave()
	c.leave()
	r.release("c")
	// Strangers' messages, and a second record.
	record := amqp.Publishing{MessageId: "a"}
	r.peer.Send(RecordsQueue(r.queue), record, amqp.Publishing{MessageId: "no host"}, amqp.Publishing{})
	for range 2 { // reading changes nothing
		all, err := Hosts(t.Context(), link, r.queue)
		if err != nil || len(all) != 3 {
			t.Fatalf("%+v, %v", all, err)
		}
		for i, want := range []Record{{Host: "a", Alive: true}, {Host: "b", Waiting: 2}, {Host: "c", Released: true}} {
			got := all[i]
			if got.Seen.Before(began) || got.Seen.After(time.Now()) || got.Labels["disk"] != "ssd" {
				t.Errorf("%+v", got)
			}
			if got.Host != want.Host || got.Alive != want.Alive || got.Waiting != want.Waiting || got.Released != want.Released || got.Epoch != 0 || got.Consumers != 0 {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	}
	r.enter("c")
	r.peer.Send(seenQueue(r.queue, "c"), amqp.Publishing{Body: []byte("no JSON")})
	all, err := Hosts(t.Context(), link, r.queue)
	if err != nil || len(all) != 3 || all[2].Epoch != 1 || all[2].Released || !all[2].Alive {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestReaders: readers at the same time all see all hosts.
func TestReaders(t *testing.T) {
	t.Parallel()
	r := newRig(t, "classic")
	for _, name := range []string{"a", "b", "c", "d"} {
		r.enter(name).leave()
	}
	var work sync.WaitGroup
	for range 6 {
		link := r.link()
		work.Go(func() {
			for range 5 {
				if all, err := Hosts(t.Context(), link, r.queue); err != nil || len(all) != 4 {
					t.Errorf("%d hosts, %v", len(all), err)
				}
			}
		})
	}
	work.Wait()
}
