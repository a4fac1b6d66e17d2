package cmd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestClaimAtEnd: what becomes of the claims when a job ends.
func TestClaimAtEnd(t *testing.T) {
	const kept = `{"Dockercmd":"create","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web"}}`
	t.Run("the container stays", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", kept)
			pass(time.Minute)
			if len(c.claims) != 2 {
				t.Errorf("claims %v", c.claims)
			}
			c.hosts["a"].kill()
			c.hosts["a"].start()
			// A name that is taken is taken on all hosts, and its claim outlives the run that wanted it.
			c.send("b", "other", strings.Replace(kept, "create", "run", 1))
			pass(time.Minute)
			c.want("other", event.Errored, event.ReasonNameConflict)
			if r := c.result("other"); r.Host != "a" || len(c.claims) != 2 {
				t.Errorf("%s: %s; claims %v", r.Host, r.Error, c.claims)
			}
			for _, s := range []struct{ host, verb string }{{"b", "start"}, {"c", "stop"}, {"b", "remove"}} {
				c.send(s.host, s.verb, fmt.Sprintf(`{"Dockercmd":%q,"Container":"web"}`, s.verb))
				pass(time.Minute)
				c.want(s.verb, event.Succeeded, "")
			}
			c.settled()
			c.send("a", "k", kept)
			c.to("b")
			c.publish("q", &fakeMessage{id: "redelivered", body: strings.Replace(kept, "create", "run", 1), redelivered: true})
			pass(time.Minute)
			c.want("redelivered", event.Errored, event.ReasonNameConflict)
			c.send("b", "remove again", `{"Dockercmd":"remove","Container":"web"}`)
			pass(time.Minute)
			if len(c.claims) != 0 {
				t.Errorf("claims %v, though the job is known to be settled", c.claims)
			}
		})
	})
	t.Run("detached with Remove", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Detach":true,"Remove":true}}`)
			c.want("j", event.Succeeded, "")
			c.send("b", "rename", `{"Dockercmd":"rename","Container":"web","NewName":"bew"}`)
			pass(time.Minute)
			c.want("rename", event.Succeeded, "")
			if len(c.claims) != 2 || c.claims[intake.NameKey("bew")] != "a.0" {
				t.Errorf("claims %v", c.claims)
			}
			c.send("c", "stop", `{"Dockercmd":"stop","Container":"bew"}`)
			c.want("stop", event.Succeeded, "")
			c.settled()
		})
	})
	t.Run("renamed while it runs", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", named("web"))
			c.send("b", "k", named("taken"))
			c.send("c", "no", `{"Dockercmd":"rename","Container":"web","NewName":"taken"}`)
			pass(time.Minute)
			c.want("no", event.Errored, event.ReasonNameConflict)
			c.send("c", "yes", `{"Dockercmd":"rename","Container":"web","NewName":"bew"}`)
			pass(time.Minute)
			c.want("yes", event.Succeeded, "")
			// Redelivered to a host without the container, it has been carried out.
			c.to("b")
			c.publish("q", &fakeMessage{id: "again", body: `{"Dockercmd":"rename","Container":"web","NewName":"bew"}`, redelivered: true})
			pass(time.Minute)
			c.want("again", event.Succeeded, "")
			c.send("b", "web again", named("web"))
			c.started("web again", "b")
			for _, id := range []string{"j", "k", "web again"} {
				c.exit(id, 0)
			}
			c.settled()
		})
	})
	t.Run("renamed from a derived name while it runs", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", waiter)
			c.send("b", "rename", `{"Dockercmd":"rename","Job":"j","NewName":"bew"}`)
			pass(time.Minute)
			c.want("rename", event.Succeeded, "")
			if c.claims[intake.NameKey("bew")] != "a.0" {
				t.Errorf("claims %v", c.claims)
			}
			c.exit("j", 0)
			c.settled()
		})
	})
	t.Run("removed by force", func(t *testing.T) {
		for _, body := range []string{named("web"), strings.Replace(named("web"), `,"Remove":true`, "", 1)} {
			onHosts(t, nil, func(c *fakeCluster) {
				c.send("a", "j", body)
				c.send("b", "remove", `{"Dockercmd":"remove","Container":"web","Options":{"Force":true}}`)
				pass(time.Minute)
				c.want("remove", event.Succeeded, "")
				if len(c.claims) != 0 {
					t.Errorf("claims %v, though the job is known to be settled", c.claims)
				}
				c.settled()
			})
		}
	})
	t.Run("removed before the job is settled", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", strings.Replace(waiter, `,"Remove":true`, "", 1))
			name := c.hosts["a"].docker.all()[0].Name
			c.hosts["a"].kill()
			c.to("b")
			pass(time.Second)
			c.mu.Lock()
			copied := c.queues["q.host.a"]
			c.queues["q.host.a"] = nil
			c.mu.Unlock()
			c.hosts["a"].start()
			c.send("b", "remove", fmt.Sprintf(`{"Dockercmd":"remove","Container":%q,"Options":{"Force":true}}`, name))
			c.want("remove", event.Succeeded, "")
			pass(time.Minute)
			c.publish("q.host.a", copied[0]) // late: the claim must be there still
			pass(time.Second)
			c.started("j", "a", "a") // as without other hosts
			c.exit("j", 0)
			c.send("b", "remove 2", fmt.Sprintf(`{"Dockercmd":"remove","Container":%q}`, name))
			c.settled()
		})
	})
	t.Run("the next attempt", func(t *testing.T) {
		const body = `{"Dockercmd":"run","Image":"busybox","Cmd":["fail"],"Options":{"Attach":["STDOUT"],"Remove":true,"Retry":{"Max":2,"Delay":"%s"}}}`
		for _, delay := range []string{"1s", "10s"} {
			onHosts(t, nil, func(c *fakeCluster) {
				c.send("a", "j", fmt.Sprintf(body, delay))
				c.to("b")
				c.settled()
				where := "b"
				if delay == "1s" { // the container of the attempt before is still here
					where = "a"
				}
				if at := c.starts["j/2"]; !slices.Equal(at, []string{where}) || len(c.starts["j/3"]) != 1 {
					t.Errorf("after %s: the second attempt ran on %q, want %q", delay, at, where)
				}
			})
		}
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", strings.Replace(fmt.Sprintf(body, "10s"), `"Remove":true,`, `"Name":"web",`, 1))
			c.to("b")
			pass(time.Hour)
			if at := c.starts["j/3"]; !slices.Equal(at, []string{"a"}) {
				t.Errorf("the third attempt ran on %q, though the container stays", at)
			}
			c.send("c", "remove", `{"Dockercmd":"remove","Container":"web"}`)
			c.settled()
		})
	})
	t.Run("the next attempt is sent twice", func(t *testing.T) {
		for _, away := range []time.Duration{5 * time.Second, 20 * time.Second} { // the first one is sent after 10 s
			onHosts(t, func(c *fakeCluster) {
				c.reached = once("before ack", "j", func(h *fakeHost) { h.kill() })
			}, func(c *fakeCluster) {
				c.send("a", "j", `{"Dockercmd":"run","Image":"busybox","Cmd":["fail"],"Options":{"Attach":["STDOUT"],"Remove":true,"Retry":{"Max":1,"Delay":"10s"}}}`)
				c.to("b")
				pass(away)
				c.hosts["a"].start()
				c.settled()
				if at := c.starts["j/2"]; len(at) != 1 {
					t.Errorf("away for %v: the second attempt ran on %q", away, at)
				}
			})
		}
	})
	t.Run("requeued", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			a := c.hosts["a"]
			c.reached = once("claimed", "", func(h *fakeHost) { h.docker.die() }) // it is told nothing, as it is away
			c.send("a", "j", waiter)
			c.to("b")
			pass(time.Minute)
			c.started("j", "b")
			c.exit("j", 0)
			a.docker.revive()
			c.settled()
		})
	})
	t.Run("requeued to the host queue", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			a := c.hosts["a"]
			c.notes["t"] = make(chan struct{})
			close(c.notes["t"])
			c.claims[intake.JobKey("", "q", "j")] = "a.0"
			c.reached = once("claimed", "", func(h *fakeHost) { h.docker.die() })
			c.publish("q.host.a", &fakeMessage{id: "j", body: waiter, hops: 1, forwarded: true, token: "t"})
			pass(10 * time.Millisecond)
			a.docker.revive()
			pass(time.Minute)
			c.started("j", "a")
			c.exit("j", 0)
			c.settled()
		})
	})
	t.Run("no container", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", strings.Replace(named("web"), "busybox", "none", 1))
			c.want("j", event.Errored, event.ReasonNoSuchImage)
			c.settled()
		})
	})
	t.Run("without a message_id", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "", named("web"))
			c.hosts["a"].kill()
			c.hosts["a"].start() // it adopts the container, and with it the id of the job
			synctest.Wait()
			if len(c.claims) != 2 {
				t.Errorf("claims %v", c.claims)
			}
			c.hosts["a"].docker.named(t, "web").exit(0)
			c.settled()
			// Known by its name, and not marked for removal:
			c.send("a", "", strings.Replace(named("web"), `,"Remove":true`, "", 1))
			c.hosts["a"].kill()
			c.hosts["a"].start()
			synctest.Wait()
			f := c.hosts["a"].docker.named(t, "web")
			if c.jobClaim(f.Labels[identity.LabelJob]) != "a.0" || len(c.claims) != 2 {
				t.Errorf("claims %v", c.claims)
			}
			f.exit(0)
			c.settled("web")
		})
	})
}
