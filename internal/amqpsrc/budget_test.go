package amqpsrc

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// oversizedBody is the body of an oversized message, of several frames.
func oversizedBody(n int) string {
	return fmt.Sprintf("%d:", n) + string(bytes.Repeat([]byte{byte('a' + n%26)}, 300_000+n))
}

// However many messages are too large, few of their bodies are held at a time. Those that can be done do not wait for
// them, and each dead letter is whole.
func TestOversizedAreBounded(t *testing.T) {
	t.Parallel()
	const oversized, held = 12, 2
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			for i := range oversized {
				p.Send(q, amqp.Publishing{Body: []byte(oversizedBody(i))})
				p.Send(q, amqp.Publishing{Body: []byte(fmt.Sprint(i))})
			}
			r := start(t, q, func(c *Config) { c.Prefetch, c.MaxMessage, c.oversized = 2*oversized, 1000, held*301_000 })
			var large []intake.Job
			for i := 0; i < oversized+held; i++ {
				j := r.next()
				if len(j.Body) > 1000 {
					large = append(large, j)
				} else {
					settle(t, j, intake.Ack)
				}
			}
			if len(large) != held {
				t.Fatalf("%d bodies are held, want %d", len(large), held)
			}
			for done := range oversized {
				err := deadLetterJob(context.Background(), large[0], event.Result{Reason: "invalid-message", Error: "too large"})
				if err != nil {
					t.Fatal(err)
				}
				// It is settled by now, so there is room for another.
				if large = large[1:]; done < oversized-held {
					large = append(large, r.next())
				}
			}
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			r.close()
			p.Expect(q)
			got := map[string]bool{}
			for _, d := range p.ExpectAny(q+".dead", oversized) {
				got[string(d.Body)] = true
			}
			for i := range oversized {
				if !got[oversizedBody(i)] {
					t.Errorf("the dead letter of %d is missing or not whole", i)
				}
			}
		})
	}
}

// A message that is read over goes back once: more often would have the broker drop it at its queue's delivery limit.
func TestUnreadWithinDeliveryLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int32{0, 1} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			const oversized = 30
			p := brokertest.New(t)
			q := p.Name()
			p.DeclareWith(q, amqp.Table{amqp.QueueTypeArg: "quorum", "x-delivery-limit": limit})
			for i := range oversized {
				// All of one size, so that none is told from another.
				p.Send(q, amqp.Publishing{MessageId: fmt.Sprint(i), Body: []byte(oversizedBody(0))})
			}
			r := start(t, q, func(c *Config) { c.Prefetch, c.MaxMessage, c.oversized = 10, 1000, 2*301_000 })
			got := map[string]bool{}
			for range oversized {
				j := r.next()
				got[j.MessageID] = true
				settle(t, j, intake.Ack)
			}
			if len(got) != oversized {
				t.Errorf("%d of %d messages came", len(got), oversized)
			}
			if err := r.end(); err != nil {
				t.Fatal(err)
			}
			r.close()
			p.Expect(q)
		})
	}
}

// What was read over is the queue's again when nothing is taken any more: for a pause, or for good.
func TestUnreadGoBack(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	for i := range 3 {
		p.Send(q, amqp.Publishing{Body: []byte(oversizedBody(i))})
	}
	r := start(t, q, func(c *Config) { c.MaxMessage, c.oversized = 1000, 1 })
	first := r.next()
	brokertest.Eventually(t, "all prefetched", func() bool { return p.Ready(q) == 0 })
	r.gate.Set(false)
	brokertest.Eventually(t, "two given back", func() bool { return p.Ready(q) == 2 })
	r.gate.Set(true)
	brokertest.Eventually(t, "all prefetched", func() bool { return p.Ready(q) == 0 })
	settle(t, first, intake.Ack)
	second := r.next()
	settle(t, second, intake.Requeue)
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	r.close()
	p.ExpectAny(q, 2)
}
