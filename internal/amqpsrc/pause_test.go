package amqpsrc

import (
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestKeep: over a short pause a consumer with a running job stays, and what is delivered meanwhile waits. After a long one it is
// requeued. Without a running job it stays in the queue.
func TestKeep(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			p.Fill(q, 1, 1)
			r := start(t, q, func(c *Config) { c.Keep = time.Hour })
			running := r.next()
			r.gate.Set(false)
			brokertest.Eventually(t, "the source knows of the pause", func() bool {
				_, quiet := r.source.Quiet(t.Context(), 0)
				return !quiet
			})
			p.Fill(q, 2, 3)
			brokertest.Eventually(t, "the broker has sent the messages", func() bool { return p.Ready(q) == 0 })
			if _, quiet := r.source.Quiet(t.Context(), 0); quiet {
				t.Error("the queue is quiet, with two messages that were not handed over")
			}
			select {
			case j := <-r.jobs:
				t.Errorf("job %q was handed over in the pause", j.Body)
			default:
			}
			settle(t, running, intake.Ack)
			r.gate.Set(true)
			for _, j := range r.take("2", "3") {
				if j.Redelivered {
					t.Errorf("job %q was given back", j.Body)
				}
				settle(t, j, intake.Ack)
			}
		})
		t.Run(kind+", idle", func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			p.Fill(q, 1, 1)
			r := start(t, q, func(c *Config) { c.Keep = time.Hour })
			j := r.next()
			r.gate.Set(false)
			settle(t, j, intake.Ack)
			if err := j.Fence(t.Context()); err != nil { // whose call has the session look again
				t.Fatal(err)
			}
			p.Fill(q, 2, 2)
			brokertest.Eventually(t, "the message is in the queue", func() bool { return p.Ready(q) == 1 })
		})
		t.Run(kind+", long", func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			p.Fill(q, 1, 1)
			r := start(t, q, func(c *Config) { c.Keep = 2 * time.Second })
			running := r.next()
			r.gate.Set(false)
			p.Fill(q, 2, 2)
			brokertest.Eventually(t, "the broker has sent the message", func() bool { return p.Ready(q) == 0 })
			settle(t, r.next(), intake.Requeue) // as the pool does while the gate is closed
			brokertest.Eventually(t, "the message is in the queue", func() bool { return p.Ready(q) == 1 })
			settle(t, running, intake.Ack)
			r.gate.Set(true)
			settle(t, r.next(), intake.Ack)
		})
	}
}
