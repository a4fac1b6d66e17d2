package cmd

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// copyTo publishes a run to a host's queue, as another host does that has claimed its job for that host, and is acked since.
func (c *fakeCluster) copyTo(host, id, body string) {
	note := make(chan struct{})
	close(note)
	c.mu.Lock()
	c.claims[intake.JobKey("", "q", id)] = c.hosts[host].life()
	c.notes["of "+id] = note
	c.mu.Unlock()
	c.publish("q.host."+host, &fakeMessage{id: id, body: body, hops: 1, forwarded: true, token: "of " + id})
	synctest.Wait()
}

// TestCopyKeepsClaim: the claim of a copy's job is not given up before the job is settled: without the claim, a redelivered copy counts as settled.
func TestCopyKeepsClaim(t *testing.T) {
	t.Run("another host has the name by now", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.claims[intake.NameKey("web")] = "b.0"
			c.reached = once("unclaimed", intake.JobKey("", "q", "j").Key, func(h *fakeHost) {
				if len(c.results["j"]) == 0 {
					t.Error("the claim is given up before there is a result")
				}
			})
			c.copyTo("c", "j", named("web"))
			pass(time.Minute) // a container that is about to be removed is waited for
			c.want("j", event.Errored, event.ReasonNameConflict)
			delete(c.claims, intake.NameKey("web"))
			c.settled()
		})
	})
	t.Run("it starts over", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.hosts["c"].prefetch = 8
			c.reached = once("claimed", intake.JobKey("", "q", "j").Key, func(h *fakeHost) { h.cut() }) // the claim is made, and all deliveries are lost
			c.copyTo("c", "j", waiter)
			pass(time.Minute)
			c.hosts["c"].connect(c.hosts["c"].fakeProcess)
			pass(time.Minute)
			c.started("j", "c")
			c.exit("j", 0)
			c.settled()
			c.want("j", event.Succeeded, "")
		})
	})
	t.Run("a copy that joined is recalled", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			a, block := c.hosts["a"], make(chan struct{})
			c.reached = once("claimed", intake.JobKey("", "q", "j").Key, func(*fakeHost) { <-block })
			c.send("a", "j", waiter)
			a.cut()
			c.to("b")
			synctest.Wait()
			a.connect(a.fakeProcess)
			synctest.Wait()
			a.docker.die()
			close(block)
			pass(time.Minute)
			if c.jobClaim("j") != "a.0" {
				t.Error("the copy waits in the host queue, and its claim is gone")
			}
			a.docker.revive()
			pass(time.Minute)
			c.started("j", "a")
			c.exit("j", 0)
			c.settled()
			c.want("j", event.Succeeded, "")
		})
	})
	t.Run("its host came back before all was released", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			a := c.hosts["a"]
			c.send("a", "j", waiter)
			a.kill()
			c.to("b")
			pass(time.Minute)
			c.mu.Lock()
			c.released[a.life()] = true // killed before it rejected the messages of the host queue
			a.epoch++
			for _, m := range c.queues["q.host.a"] {
				m.redelivered = true
			}
			c.mu.Unlock()
			a.start()
			pass(time.Minute)
			if c.jobClaim("j") != "a.1" {
				t.Error("the job is not claimed anew")
			}
			c.exit("j", 0)
			c.settled()
			c.want("j", event.Succeeded, "")
			c.started("j", "a")
		})
	})
	t.Run("the container before it is removed", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			const kept = `{"Dockercmd":"run","Image":"busybox","Cmd":["fail"],"Options":{"Attach":["STDOUT"]}}`
			c.send("c", "j", kept)
			for i := range 4 {
				c.send("c", fmt.Sprint("long", i), waiter)
			}
			c.to("a")
			c.publish("q", &fakeMessage{id: "j", body: kept, copy: "sent again"})
			synctest.Wait()
			c.send("a", "rm", `{"Dockercmd":"remove","Container":"`+c.result("j").ContainerName+`"}`)
			c.want("rm", event.Succeeded, "")
			c.hosts["c"].kill()
			c.hosts["c"].start()
			pass(time.Minute)
			for i := range 4 {
				c.exit(fmt.Sprint("long", i), 0)
			}
			pass(time.Hour)
			c.started("j", "c", "c")
			c.send("a", "rm 2", `{"Dockercmd":"remove","Container":"`+c.result("j").ContainerName+`"}`)
			c.settled()
		})
	})
}

// TestCopyLeavesNoClaim: a run that was forwarded because of its name, and that has its end at the other host before its turn, leaves no claim.
func TestCopyLeavesNoClaim(t *testing.T) {
	t.Run("cancelled", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("c", "first", named("web"))
			for i := range 3 {
				c.send("c", fmt.Sprint("long", i), waiter)
			}
			c.send("a", "j", named("web"))
			if c.jobClaim("j") != "c.0" {
				t.Fatal("not forwarded")
			}
			c.send("b", "s", `{"Dockercmd":"stop","Job":"j"}`)
			c.want("j", event.Refused, event.ReasonCancelled)
			for _, id := range []string{"first", "long0", "long1", "long2"} {
				c.exit(id, 0)
			}
			c.settled()
		})
	})
	t.Run("settled before", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("c", "j", named("web"))
			c.exit("j", 0)
			pass(time.Minute)
			c.copyTo("c", "j", named("web"))
			c.settled()
			c.started("j", "c")
		})
	})
	t.Run("settled before, and the original is not acked yet", func(t *testing.T) {
		for _, tells := range []bool{true, false} {
			onHosts(t, nil, func(c *fakeCluster) {
				c.send("c", "j", named("web"))
				c.exit("j", 0)
				pass(time.Minute)
				c.mu.Lock()
				c.claims[intake.JobKey("", "q", "j")] = "c.0"
				c.notes["late"] = make(chan struct{})
				c.mu.Unlock()
				c.publish("q.host.c", &fakeMessage{id: "j", body: named("web"), hops: 1, forwarded: true, token: "late"})
				pass(30 * time.Second)
				if c.jobClaim("j") != "c.0" {
					t.Error("the claim did not wait for the note")
				}
				if tells {
					close(c.notes["late"])
					pass(time.Second)
					if c.jobClaim("j") != "" {
						t.Error("the claim stays after the note")
					}
				}
				c.settled()
				c.started("j", "c")
			})
		}
	})
	t.Run("its container is removed while the copy is acked", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			fence, ack := make(chan struct{}), make(chan struct{})
			acks := 0
			c.reached = func(step string, h *fakeHost, id string) {
				switch {
				case id == "j" && step == "fenced" && acks == 1:
					<-fence
				case id == "j" && step == "before ack":
					if acks++; acks == 2 {
						<-ack
					}
				}
			}
			c.send("c", "j", strings.Replace(named("web"), `,"Remove":true`, "", 1))
			c.exit("j", 0)
			synctest.Wait()
			c.copyTo("c", "j", strings.Replace(named("web"), `,"Remove":true`, "", 1))
			close(fence) // the job is settled, and its container stays; then the copy that joined is acked
			pass(time.Second)
			c.send("a", "remove", `{"Dockercmd":"remove","Container":"web"}`)
			c.want("remove", event.Succeeded, "")
			close(ack)
			pass(time.Second)
			if acks != 2 || len(c.claims) != 0 {
				t.Errorf("%d acks; claims %v", acks, c.claims)
			}
			c.settled()
		})
	})
	t.Run("the job has a container of before", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("c", "j", `{"Dockercmd":"create","Image":"busybox","Options":{"Name":"web"}}`)
			c.publish("q.host.c", &fakeMessage{id: "j", body: "{", hops: 1, forwarded: true, copy: "sent again"})
			pass(time.Minute)
			c.want("j", event.Refused, event.ReasonInvalid)
			if c.jobClaim("j") != "c.0" {
				t.Error("the container has no claim")
			}
			c.send("a", "rm", `{"Dockercmd":"remove","Container":"web"}`)
			c.settled()
		})
	})
}
