package cmd

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestCommandsFindTheirHost: a command comes to the container that it is for, by each way to name it, from each host.
func TestCommandsFindTheirHost(t *testing.T) {
	for _, host := range []string{"a", "b", "c"} {
		for _, by := range []string{"name", "derived name", "Job", "Job of a later process"} {
			for _, verb := range []string{"stop", "kill", "remove", "inspect", "restart", "wait"} {
				t.Run(host+"/"+by+"/"+verb, func(t *testing.T) {
					onHosts(t, nil, func(c *fakeCluster) {
						body := named("web")
						if by != "name" {
							body = waiter
						}
						c.send("a", "j", body)
						ref := fmt.Sprintf(`"Container":%q`, c.hosts["a"].docker.all()[0].Name)
						if strings.HasPrefix(by, "Job") {
							ref = `"Job":"j"`
						}
						if by == "Job of a later process" {
							c.hosts["a"].kill()
							c.hosts["a"].start()
							synctest.Wait()
						}
						options := ""
						if verb == "remove" {
							options = `,"Options":{"Force":true}`
						}
						c.send(host, "command", fmt.Sprintf(`{"Dockercmd":%q,%s%s}`, verb, ref, options))
						if verb == "inspect" || verb == "restart" || verb == "wait" {
							c.exit("j", 0)
						}
						pass(time.Minute)
						if r := c.result("command"); r.Status != event.Succeeded || r.Host != "a" {
							t.Errorf("%+v", r)
						}
						c.settled()
						c.started("j", "a")
					})
				})
			}
		}
	}
	t.Run("none", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "s", `{"Dockercmd":"stop","Container":"none"}`)
			c.want("s", event.Failed, event.ReasonNoSuchContainer)
			c.send("a", "i", `{"Dockercmd":"inspect","Container":"0123456789abcdef"}`)
			if r := c.result("i"); !strings.Contains(r.Error, "by its name or by its Job") {
				t.Errorf("%+v", r)
			}
			c.claims[intake.NameKey("stale")] = "b.0"
			c.send("a", "r", `{"Dockercmd":"stop","Container":"stale"}`)
			c.want("r", event.Failed, event.ReasonNoSuchContainer)
			if n := c.hosts["b"].pool.Numbers(); n.LostClaims != 1 {
				t.Errorf("%+v", n.Counters)
			}
			c.settled()
		})
	})
	t.Run("a person's container of the name", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", named("web"))
			if _, err := c.hosts["b"].docker.CreateContainer(t.Context(), "web", dockerapi.ContainerConfig{Image: "busybox"}); err != nil {
				t.Fatal(err)
			}
			c.send("b", "s", `{"Dockercmd":"stop","Container":"web"}`)
			if r := c.result("s"); r.Host != "a" || r.Status != event.Succeeded {
				t.Errorf("%+v", r)
			}
			c.settled("web")
		})
	})
	t.Run("a stop before the job's message", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("c", "s", `{"Dockercmd":"stop","Job":"j"}`)
			c.want("s", event.Failed, event.ReasonNoSuchContainer)
			c.send("a", "j", waiter)
			c.want("j", event.Refused, event.ReasonCancelled)
			c.started("j")
			if c.jobClaim("j") != "c.0" {
				t.Error("the claim is not held")
			}
			pass(recent.For)
			if c.jobClaim("j") != "" {
				t.Error("the claim is held for ever")
			}
			c.send("c", "s2", `{"Dockercmd":"stop","Job":"k"}`)
			c.hosts["c"].end()
			if c.jobClaim("k") != "" {
				t.Error("the claim outlives the process")
			}
			c.send("a", "k", waiter)
			c.started("k", "a")
			c.exit("k", 0)
			c.settled()
		})
	})
	t.Run("a stop of a job that turns out to be elsewhere", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			claims, asked, goOn := false, make(chan struct{}), make(chan struct{})
			c.broken = func(call string, key intake.ClaimKey) error {
				if call == "claim" && key == intake.JobKey("", "q", "j") && !claims {
					claims = true
					close(asked)
					<-goOn
				}
				return nil
			}
			c.send("a", "j", waiter)
			<-asked
			c.send("a", "s", `{"Dockercmd":"stop","Job":"j"}`) // it waits for the run that is about to claim
			c.mu.Lock()
			c.claims[intake.JobKey("", "q", "j")] = "b.0"
			c.mu.Unlock()
			close(goOn)
			pass(time.Second)
			if len(c.starts["j/1"]) == 0 { // the stop has overtaken the run, by its queue
				c.want("j", event.Refused, event.ReasonCancelled)
			} else {
				c.started("j", "b")
				c.want("j", event.Stopped, "")
			}
			c.settled()
			c.want("s", event.Succeeded, "")
		})
	})
	t.Run("a command after one that waits for the note of its copy", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("b", "j", named("web"))
			c.notes["t"] = make(chan struct{})
			c.publish("q.host.a", &fakeMessage{id: "p", body: `{"Dockercmd":"pause","Container":"web"}`, hops: 1, forwarded: true, token: "t"})
			pass(time.Second)
			c.want("p", event.Succeeded, "")
			c.send("a", "u", `{"Dockercmd":"unpause","Container":"web"}`)
			c.want("u", event.Succeeded, "")
			close(c.notes["t"])
			c.exit("j", 0)
			c.settled()
		})
	})
	t.Run("a stop of a job that waits elsewhere too", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			for i := range 4 {
				c.send("b", fmt.Sprint("full", i), waiter)
			}
			c.hosts["b"].prefetch = 8
			c.send("a", "j", waiter)
			c.hosts["a"].cut()
			c.to("b") // where the redelivered message waits for a place
			c.hosts["a"].connect(c.hosts["a"].fakeProcess)
			synctest.Wait()
			c.send("b", "s", `{"Dockercmd":"stop","Job":"j"}`)
			c.want("s", event.Succeeded, "")
			for i := range 4 {
				c.exit(fmt.Sprint("full", i), 0)
			}
			c.settled()
			c.want("j", event.Stopped, "")
			c.started("j", "a")
		})
	})
	t.Run("a stop of a job that waits for a place, and whose container runs", func(t *testing.T) {
		for _, ref := range []string{`"Job":"j"`, `"Container":"web"`} {
			onHosts(t, nil, func(c *fakeCluster) {
				a := c.hosts["a"]
				c.send("a", "j", named("web"))
				a.kill()
				c.to("b")
				synctest.Wait()
				c.mu.Lock()
				copied := c.queues["q.host.a"]
				c.queues["q.host.a"] = nil
				c.mu.Unlock()
				a.start()
				c.to("a")
				for i := range 4 {
					c.publish("q", &fakeMessage{id: fmt.Sprint("fill", i), body: waiter})
				}
				synctest.Wait()
				c.publish("q.host.a", copied[0])
				synctest.Wait()
				c.to("b")
				c.publish("q", &fakeMessage{id: "s", body: `{"Dockercmd":"stop",` + ref + `}`, control: true})
				pass(time.Second)
				c.want("s", event.Succeeded, "")
				if a.docker.named(t, "web").runs() {
					t.Error("it runs on")
				}
				for _, h := range c.hosts {
					for _, f := range h.docker.all() {
						f.exit(0)
					}
				}
				c.settled()
				c.started("j", "a")
				c.want("j", event.Stopped, "")
			})
		}
	})
	t.Run("later attempts", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("a", "j", `{"Dockercmd":"run","Image":"busybox","Cmd":["fail"],"Options":{"Name":"web","Attach":["STDOUT"],"Retry":{"Max":2,"Delay":"1m"}}}`)
			c.send("b", "s", `{"Dockercmd":"stop","Job":"j"}`)
			c.want("s", event.Succeeded, "")
			pass(2 * time.Minute)
			c.want("j", event.Refused, event.ReasonCancelled)
			c.started("j", "a")
			pass(2 * time.Hour)
			if c.jobClaim("j") != "a.0" {
				t.Error("the claim of a container that stays is gone")
			}
			c.send("b", "r", `{"Dockercmd":"remove","Container":"web"}`)
			c.settled()
		})
	})
}
