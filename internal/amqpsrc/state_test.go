package amqpsrc

import (
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// TestState: what the Source says of the broker, before, while and after it is connected.
func TestState(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("classic")
	p.Declare(q+".control", "classic")
	r := start(t, q, func(c *Config) { c.Dial, c.Control = px.Dial, q+".control" })
	want := func(name string, state status.State, words string) {
		t.Helper()
		brokertest.Eventually(t, name+" is "+string(state)+": "+words, func() bool {
			all, _ := r.source.State()
			for _, c := range all {
				if c.Name == name {
					return c.State == state && strings.Contains(c.Reason, words)
				}
			}
			return false
		})
	}
	want("broker", status.Met, "messages are taken from "+q)
	want("control", status.Met, q+".control")
	want("publishing", status.Met, "")
	px.SetRefuse(true)
	px.Cut()
	for _, name := range []string{"broker", "control", "publishing"} {
		want(name, status.Unmet, "")
	}
	px.SetRefuse(false)
	for _, name := range []string{"broker", "control", "publishing"} {
		want(name, status.Met, "")
	}
	if _, b := r.source.State(); b.Sessions < 4 {
		t.Errorf("%d sessions after a reconnect of two", b.Sessions)
	}
	r.gate.Set(false)
	want("broker", status.Met, "connected to ")
}

// TestRoom: while there is no room nothing is taken from the queue, and the control queue is.
func TestRoom(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Declare(q+".control", "classic")
	room := new(intake.Gate)
	p.Fill(q, 1, 1)
	p.Fill(q+".control", 2, 2)
	r := start(t, q, func(c *Config) { c.Control, c.Room = q+".control", room })
	settle(t, <-r.control, intake.Ack)
	select {
	case j := <-r.jobs:
		t.Errorf("got %q", j.Body)
	default:
	}
	room.Set(true)
	settle(t, r.take("1")[0], intake.Ack)
}
