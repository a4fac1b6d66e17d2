package amqpsrc

import (
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestQuietRefused: if the broker refuses to say whether the queue is empty, it is not quiet. The log says so once, with both
// consequences.
func TestQuietRefused(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 1)
	tap := new(tap)
	r := start(t, q, func(c *Config) { c.Dial = tap.dial })
	j := r.next()
	tap.setRename("amq.")
	for range 3 {
		if _, quiet := r.source.Quiet(t.Context(), 0); quiet {
			t.Error("quiet although the broker does not say so")
		}
	}
	settle(t, j, intake.Ack)
	log := r.log.String()
	if n := strings.Count(log, "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, log)
	}
	for _, words := range []string{"message is lost waits", "not swept", q, "403 ACCESS_REFUSED", "hint="} {
		if !strings.Contains(log, words) {
			t.Errorf("the log lacks %q:\n%s", words, log)
		}
	}
}

// TestQuietFails: a look fails with the broker's words. That does not mean that the broker has requeued the
// session's messages.
func TestQuietFails(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("classic")
	p.Fill(q, 1, 1)
	tap := new(tap)
	r := start(t, q, func(c *Config) { c.Dial = tap.dial })
	j := r.next()
	s := r.source.look(t.Context(), 0).session
	tap.setRename("gone")
	if _, err := s.quiet(0, false); err == nil || !strings.Contains(err.Error(), "no queue") {
		t.Errorf("error %v", err)
	}
	if j.Released() {
		t.Error("released by an error of another channel")
	}
	settle(t, j, intake.Ack)
}
