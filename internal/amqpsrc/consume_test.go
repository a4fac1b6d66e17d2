package amqpsrc

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestPausesAddNoPrefetch: however often the intake pauses, no more messages than the prefetch are unsettled. Each place that an
// earlier consumer's message leaves is taken again, while another of its messages stays.
func TestPausesAddNoPrefetch(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			const prefetch, messages = 8, 60
			p := brokertest.New(t)
			q := p.Queue(kind)
			p.Fill(q, 1, messages)
			tap := new(tap)
			r := start(t, q, func(c *Config) { c.Prefetch, c.Dial = prefetch, tap.dial })
			next := 1
			take := func(n int) []intake.Job {
				next += n
				return r.take(numbers(next-n, next-1)...)
			}
			unsettled := take(prefetch)
			for range 3 {
				r.pause(tap)
				settle(t, unsettled[1], intake.Ack) // the first one runs all the time
				unsettled = slices.Delete(unsettled, 1, 2)
				r.gate.Set(true)
				unsettled = append(unsettled, take(1)...)
				for _, j := range unsettled[1:4] {
					settle(t, j, intake.Ack)
				}
				unsettled = append(slices.Delete(unsettled, 1, 4), take(3)...)
				if n := p.Ready(q); n != messages-next+1 {
					t.Fatalf("%d messages are in the queue and %d were taken, of %d", n, next-1, messages)
				}
			}
			for _, j := range unsettled {
				settle(t, j, intake.Ack)
			}
			for next <= messages {
				settle(t, take(1)[0], intake.Ack)
			}
			if n := r.source.sessions.Load(); n != 1 || strings.Contains(r.log.String(), "level=WARN") {
				t.Errorf("%d sessions:\n%s", n, r.log)
			}
		})
	}
}

// TestPausedWithNoPlace: nothing is consumed while earlier messages take all places, and the first that is settled makes one.
func TestPausedWithNoPlace(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	p.Fill(q, 1, 2)
	tap := new(tap)
	r := start(t, q, func(c *Config) { c.Prefetch, c.Dial = 1, tap.dial })
	first := r.next()
	before := tap.count(basicConsume)
	r.pause(tap)
	r.gate.Set(true)
	if err := first.Alive(t.Context()); err != nil { // the session has seen the gate
		t.Fatal(err)
	}
	if n := tap.count(basicConsume); n != before {
		t.Error("a consumer began, with all places taken")
	}
	settle(t, first, intake.Ack)
	settle(t, r.take("2")[0], intake.Ack)
}

// TestRenewalsAreFew: without a pause there is one consumer, and no call about it. After a pause a new consumer comes for many
// settled messages, not for each.
func TestRenewalsAreFew(t *testing.T) {
	t.Parallel()
	const prefetch, messages = 20, 400
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Fill(q, 1, messages)
	tap := new(tap)
	r := start(t, q, func(c *Config) { c.Prefetch, c.Dial = prefetch, tap.dial })
	unsettled := []intake.Job{r.next()}
	calls := func() int { return tap.count(basicQos) + tap.count(basicConsume) + tap.count(basicCancel) }
	before := calls()
	work := func(n int) { // half of the places are always taken
		for range n {
			unsettled = append(unsettled, r.next())
			if len(unsettled) > prefetch/2 {
				settle(t, unsettled[0], intake.Ack)
				unsettled = unsettled[1:]
			}
		}
	}
	work(messages / 2)
	if n := calls() - before; n != 0 {
		t.Errorf("%d calls about the consumer without a pause", n)
	}
	r.pause(tap)
	r.gate.Set(true)
	began := time.Now()
	work(messages/2 - 1)
	most := messages/2/(prefetch/4) + int(time.Since(began)/renewAfter) + 1
	if n := tap.count(basicCancel) - 1; n > most {
		t.Errorf("%d renewals in %v, want at most %d", n, time.Since(began), most)
	}
}

// pause closes the gate, and waits until the consumer is cancelled.
func (r *rig) pause(tap *tap) {
	r.t.Helper()
	before := tap.count(basicCancel)
	r.gate.Set(false)
	brokertest.Eventually(r.t, "the consumer is cancelled", func() bool { return tap.count(basicCancel) > before })
}
