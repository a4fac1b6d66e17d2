package cmd

import (
	"errors"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestClaimFails: no answer of the broker, or a wrong one, has a job run without its claim, or lets it wait for ever.
func TestClaimFails(t *testing.T) {
	t.Run("the broker is away", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.down = make(chan struct{})
			c.send("a", "j", waiter)
			pass(time.Hour)
			c.started("j")
			c.mu.Lock()
			close(c.down)
			c.down = nil
			c.mu.Unlock()
			pass(time.Second)
			c.started("j", "a")
			c.exit("j", 0)
			pass(time.Second)
			c.mu.Lock()
			c.down = make(chan struct{})
			c.mu.Unlock()
			pass(time.Minute)
			began := time.Now()
			c.hosts["a"].end()
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("the stop took %v", took)
			}
			if c.hosts["a"].docker.count() != 1 {
				t.Error("the container is gone before its claim")
			}
			close(c.down)
			c.down = nil
			c.hosts["a"].start()
			c.settled()
		})
	})
	t.Run("it refuses", func(t *testing.T) {
		for _, call := range []string{"claim", "look"} {
			onHosts(t, nil, func(c *fakeCluster) {
				c.broken = func(got string, _ intake.ClaimKey) error {
					if got == call {
						return errors.New("access refused")
					}
					return nil
				}
				c.send("a", "j", waiter)
				c.send("a", "s", `{"Dockercmd":"stop","Container":"web"}`)
				id := map[string]string{"claim": "j", "look": "s"}[call]
				if len(c.results[id]) > 0 || len(c.dead) > 0 {
					t.Errorf("%s: result %+v, dead letters %q", call, c.result(id), c.dead)
				}
				if call == "claim" && len(c.starts) > 0 {
					t.Error("a job ran without its claim")
				}
				c.broken = nil
				c.hosts["a"].kill() // errors that are not the context's say that the process ends
				c.hosts["a"].start()
				pass(time.Minute)
				c.started("j", "a")
				c.exit("j", 0)
				c.settled()
				c.want("j", event.Succeeded, "")
				c.want("s", event.Failed, event.ReasonNoSuchContainer)
			})
		}
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", waiter)
			c.exit("j", 0)
			c.broken = func(string, intake.ClaimKey) error { return errors.New("ended") }
			c.hosts["a"].end()
			if c.hosts["a"].docker.count() != 1 {
				t.Error("the container is gone before its claim")
			}
			c.broken = nil
			c.hosts["a"].start()
			c.settled()
		})
		onHosts(t, nil, func(c *fakeCluster) {
			c.broken = func(got string, _ intake.ClaimKey) error {
				if got == "unclaim" {
					return errors.New("access refused")
				}
				return nil
			}
			c.send("a", "j", waiter)
			c.exit("j", 0)
			pass(time.Minute)
			if c.hosts["a"].docker.count() != 0 {
				t.Error("the container stays for want of a delete")
			}
		})
	})
	t.Run("a panic", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.broken = func(got string, key intake.ClaimKey) error {
				if got == "claim" && key.Kind == "name" {
					panic("at the disco")
				}
				return nil
			}
			c.send("a", "j", named("web"))
			c.want("j", event.Errored, event.ReasonInternal)
			c.settled()
		})
	})
	t.Run("a host without a queue", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.claims[intake.JobKey("", "q", "j")] = "b.0"
			c.reached = once("forwarding", "j", func(*fakeHost) { c.release("b") })
			c.send("a", "j", waiter)
			c.started("j")
			pass(time.Minute)
			c.started("j", "a")
			// The requeued message may come again before its task is forgotten: then it joins the task, and is requeued once more.
			if n := c.hosts["a"].pool.Numbers(); n.Forwarded != 0 || n.LostClaims < 1 || n.LostClaims > 2 {
				t.Errorf("%+v", n.Counters)
			}
			c.exit("j", 0)
			c.settled()
		})
	})
	t.Run("the context", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.down = make(chan struct{})
			c.send("a", "j", waiter)
			if left := c.hosts["a"].end(); left != 1 {
				t.Errorf("%d jobs left, want 1", left)
			}
			close(c.down)
			c.down = nil
		})
	})
}
