package cmd

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestClaimLeadsHome: a message comes to the host that has its job, whatever host takes it, and however that came about.
func TestClaimLeadsHome(t *testing.T) {
	t.Run("connection lost while the job runs", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", waiter)
			c.hosts["a"].cut()
			c.to("b")
			c.hosts["a"].connect(c.hosts["a"].fakeProcess)
			synctest.Wait()
			c.exit("j", 0)
			c.settled()
			c.started("j", "a")
			c.want("j", event.Succeeded, "")
			if n := len(c.results["j"]); n != 1 {
				t.Errorf("%d results", n)
			}
			if n := c.hosts["b"].pool.Numbers(); n.Forwarded != 1 || n.LostClaims != 0 {
				t.Errorf("b: %+v", n.Counters)
			}
			if n := c.hosts["b"].pool.Status(); len(n.Ended) != 0 {
				t.Errorf("a forwarded job counts as ended: %+v", n.Ended)
			}
		})
	})
	t.Run("daemon killed while the job runs", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", waiter)
			c.hosts["a"].kill()
			c.to("b")
			pass(time.Minute)
			c.exit("j", 3)
			c.hosts["a"].start()
			c.settled()
			c.started("j", "a")
			c.want("j", event.Failed, event.ReasonExit)
			if r := c.result("j"); !r.Adopted || r.Host != "a" {
				t.Errorf("result %+v", r)
			}
		})
	})
	t.Run("the policy denies it by now", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			kept := strings.Replace(named("web"), `,"Remove":true`, "", 1)
			c.send("a", "j", kept)
			c.exit("j", 0)
			pass(time.Minute)
			c.hosts["a"].kill()
			c.change = func(cfg *Config) { cfg.Policy = withPolicy(`{"Allow": {"Image": "none"}}`) }
			c.hosts["a"].start()
			c.send("b", "j", kept) // published again: it has run where it may not run any more
			c.settled("web")
			c.started("j", "a")
			c.want("j", event.Succeeded, "")
		})
	})
	t.Run("killed between claim and create", func(t *testing.T) {
		onHosts(t, func(c *fakeCluster) {
			c.reached = once("claimed", "", func(h *fakeHost) { h.kill() })
		}, func(c *fakeCluster) {
			c.send("a", "j", waiter)
			c.to("b")
			pass(time.Minute)
			c.started("j")
			c.hosts["a"].start()
			pass(time.Second)
			c.started("j", "a")
			c.exit("j", 0)
			c.settled()
			c.want("j", event.Succeeded, "")
		})
	})
	t.Run("forwarder killed between copy and ack", func(t *testing.T) {
		for _, ended := range []bool{false, true} {
			onHosts(t, func(c *fakeCluster) {
				c.reached = once("copied", "j", func(h *fakeHost) {
					if ended { // the copy is settled before the third host has the original
						c.exit("j", 0)
						time.Sleep(time.Minute)
					}
					c.hosts["b"].only, c.hosts["c"].only = true, false
					h.kill()
				})
			}, func(c *fakeCluster) {
				c.send("a", "j", waiter)
				c.hosts["a"].cut()
				c.to("b")
				c.hosts["a"].connect(c.hosts["a"].fakeProcess)
				pass(10 * time.Minute)
				if !ended {
					c.exit("j", 0)
				}
				c.settled()
				c.started("j", "a")
				c.want("j", event.Succeeded, "")
			})
		}
	})
	t.Run("forwarder killed between ack and note", func(t *testing.T) {
		onHosts(t, func(c *fakeCluster) {
			c.reached = once("forward", "j", func(h *fakeHost) { h.kill() })
		}, func(c *fakeCluster) {
			c.send("a", "j", waiter)
			c.hosts["a"].cut()
			c.to("b")
			c.hosts["a"].connect(c.hosts["a"].fakeProcess)
			pass(time.Minute)
			c.exit("j", 0)
			pass(30 * time.Minute)
			if c.hosts["a"].docker.count() != 1 || c.jobClaim("j") == "" {
				t.Error("the container did not wait for the note")
			}
			c.settled() // as long as one that a crash left
			c.started("j", "a")
		})
	})
	t.Run("killed at the end of the job", func(t *testing.T) {
		for _, step := range []string{"before ack", "ack", "fenced", "unclaimed"} {
			onHosts(t, func(c *fakeCluster) {
				c.reached = once(step, "", func(h *fakeHost) { h.kill() })
			}, func(c *fakeCluster) {
				c.send("a", "j", named("web"))
				c.exit("j", 0)
				pass(time.Minute)
				c.to("b")
				c.hosts["a"].start()
				c.settled()
				c.started("j", "a")
				c.want("j", event.Succeeded, "")
			})
		}
	})
	t.Run("settled meanwhile", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.publish("q.host.a", &fakeMessage{id: "j", body: waiter, hops: 1, forwarded: true, redelivered: true, token: "t"})
			c.settled()
			c.started("j")
			c.publish("q.host.a", &fakeMessage{id: "new", body: waiter, hops: 1, forwarded: true, token: "t"})
			pass(time.Second)
			c.started("new", "a")
			c.notes["t"] = make(chan struct{})
			close(c.notes["t"])
			c.exit("new", 0)
		})
	})
	t.Run("the host of its claim was released meanwhile", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.hosts["b"].kill()
			c.claims[intake.JobKey("", "q", "j")] = "b.0"
			c.release("b")
			c.notes["t"] = make(chan struct{})
			close(c.notes["t"])
			c.publish("q.host.a", &fakeMessage{id: "j", body: waiter, hops: 1, forwarded: true, redelivered: true, token: "t"})
			pass(time.Second)
			c.started("j", "a")
			c.exit("j", 0)
			c.settled()
		})
	})
	t.Run("the copy is lost while its host claims", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			a := c.hosts["a"]
			c.notes["t"] = make(chan struct{})
			close(c.notes["t"])
			c.claims[intake.JobKey("", "q", "j")] = "a.0"
			c.reached = once("claimed", "", func(h *fakeHost) { h.cut() })
			c.publish("q.host.a", &fakeMessage{id: "j", body: waiter, hops: 1, forwarded: true, token: "t"})
			pass(time.Second)
			c.started("j")
			a.connect(a.fakeProcess)
			pass(time.Second)
			c.started("j", "a")
			c.exit("j", 0)
			c.settled()
		})
	})
	t.Run("another host has the name of a forwarded run", func(t *testing.T) {
		for _, soon := range []bool{false, true} {
			onHosts(t, nil, func(c *fakeCluster) {
				c.send("b", "first", named("web"))
				c.notes["t"] = make(chan struct{})
				close(c.notes["t"])
				c.claims[intake.JobKey("", "q", "j")] = "a.0"
				c.publish("q.host.a", &fakeMessage{id: "j", body: named("web"), hops: 1, forwarded: true, redelivered: true, token: "t"})
				pass(time.Second)
				if soon {
					c.exit("first", 0)
				}
				pass(time.Minute)
				if soon {
					c.started("j", "a")
					c.exit("j", 0)
				} else {
					c.want("j", event.Errored, event.ReasonNameConflict)
					c.exit("first", 0)
				}
				c.settled()
			})
		}
	})
	t.Run("round and round", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.claims[intake.JobKey("", "q", "j")] = "b.0"
			c.publish("q.host.a", &fakeMessage{id: "j", body: waiter, hops: intake.MostHops, forwarded: true, redelivered: true})
			pass(time.Minute)
			c.want("j", event.Errored, event.ReasonConflict)
		})
	})
	t.Run("host released", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			a := c.hosts["a"]
			c.send("a", "j", named("web"))
			a.kill()
			c.to("b")
			pass(time.Minute)
			c.started("j", "a")
			c.release("a")
			pass(time.Minute)
			c.started("j", "a", "b")
			a.start()
			pass(time.Minute)
			c.send("c", "stop", `{"Dockercmd":"stop","Container":"web"}`)
			c.want("stop", event.Succeeded, "")
			if !a.docker.named(t, "web").runs() {
				t.Error("the stop came to the container of a former life")
			}
			a.docker.named(t, "web").exit(0)
			c.settled("web") // the operator removes it
			if len(c.claims) != 0 {
				t.Errorf("claims %v", c.claims)
			}
			c.want("j", event.Stopped, "")
		})
	})
}
