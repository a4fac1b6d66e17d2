package cmd

import (
	"fmt"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// fill has a host run as many jobs as it may.
func (c *fakeCluster) fill(host string) {
	for i := range 4 {
		c.copyTo(host, fmt.Sprint("fill", i), waiter)
	}
}

// TestForwardedAhead: a redelivered message that comes to a full host is forwarded at once to the host that has its job. That host's
// sweep, which does not see what other hosts hold, leaves the container alone.
func TestForwardedAhead(t *testing.T) {
	check := func(c *fakeCluster) {
		c.t.Helper()
		pass(3 * time.Hour) // --sweep-after is an hour
		c.want("j", event.Succeeded, "")
		for i := range 4 {
			c.exit(fmt.Sprint("fill", i), 0)
		}
		c.settled()
		c.started("j", "a")
	}
	t.Run("the owner was killed", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.fill("b")
			c.reached = once("before ack", "j", func(h *fakeHost) { h.kill() })
			c.send("a", "j", waiter)
			c.to("b")
			c.exit("j", 0)
			pass(time.Minute)
			c.hosts["a"].start()
			check(c)
		})
	})
	t.Run("the forwarder was killed before its ack", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.fill("c")
			c.reached = once("copied", "j", func(h *fakeHost) {
				c.hosts["b"].only, c.hosts["c"].only = true, false
				h.kill()
			})
			c.send("a", "j", waiter)
			c.hosts["a"].cut()
			c.to("b")
			c.hosts["a"].connect(c.hosts["a"].fakeProcess)
			pass(time.Minute)
			c.exit("j", 0)
			check(c)
		})
	})
	t.Run("redelivered to a task that waits", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.fill("b")
			c.send("b", "j", waiter) // waits
			c.hosts["b"].cut()
			c.to("a")
			pass(time.Second)
			c.started("j", "a")
			c.reached = once("before ack", "j", func(h *fakeHost) {
				c.hosts["a"].only, c.hosts["b"].only = true, false
				h.kill()
			})
			c.hosts["b"].connect(c.hosts["b"].fakeProcess)
			c.exit("j", 0)
			pass(time.Minute)
			c.hosts["a"].start()
			check(c)
		})
	})
	t.Run("a first delivery asks nothing", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.fill("b")
			before := c.calls.Load()
			c.send("b", "j", waiter)
			if n := c.calls.Load() - before; n != 0 {
				t.Errorf("%d calls while it waits", n)
			}
			for i := range 4 {
				c.exit(fmt.Sprint("fill", i), 0)
			}
			pass(time.Minute)
			c.exit("j", 0)
			c.settled()
		})
	})
	t.Run("the broker does not answer", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			b := c.hosts["b"]
			c.down = make(chan struct{})
			c.to("b")
			c.publish("q", &fakeMessage{id: "j", body: waiter, redelivered: true})
			pass(time.Minute)
			b.docker.die() // its message is requeued all the same
			c.publish("q.host.b", &fakeMessage{id: "i", body: `{"Dockercmd":"inspect","Job":"j"}`})
			pass(time.Minute)
			if n := len(c.queues["q"]); n != 1 {
				t.Errorf("%d messages in the queue, want 1", n)
			}
			c.mu.Lock()
			close(c.down)
			c.down = nil
			c.mu.Unlock()
			b.docker.revive()
			pass(time.Minute)
			c.exit("j", 0)
			c.settled()
		})
	})
}
