package cmd

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestNameFirst: a run whose name another host has is not lost, and does not run where it may not.
func TestNameFirst(t *testing.T) {
	// Its claim must be there while a copy of its message waits: a redelivered copy without a claim counts as settled.
	t.Run("killed on the way to the name's host", func(t *testing.T) {
		job, name := intake.JobKey("", "q", "j"), intake.NameKey("web")
		for n := range 4 {
			onHosts(t, func(c *fakeCluster) {
				var calls atomic.Int64
				var cut atomic.Bool
				c.broken = func(call string, key intake.ClaimKey) error {
					if strings.HasPrefix(call, "claim") && (key == job || key == name) && calls.Add(1) == int64(n+2) {
						c.hosts["b"].cut() // the message is redelivered to a
						c.to("a")
						time.Sleep(time.Second)
						cut.Store(true)
					}
					return nil
				}
				c.reached = func(step string, h *fakeHost, id string) {
					if step == "unclaimed" && id == job.Key && h.name == "b" && h.epoch == 0 && cut.Swap(false) {
						h.kill()
					}
				}
			}, func(c *fakeCluster) {
				c.send("c", "first", named("web"))
				c.send("b", "j", strings.Replace(named("web"), "wait", "quick", 1))
				pass(2 * time.Second)
				c.exit("first", 0)
				pass(time.Minute)
				if b := c.hosts["b"]; b.died.Load() {
					b.start()
				} else {
					b.connect(b.fakeProcess)
				}
				pass(time.Minute)
				if len(c.results["j"]) == 0 || len(c.starts["j/1"]) > 1 {
					t.Errorf("the connection is lost at claim %d: started on %q, results %+v", n, c.starts["j/1"], c.results["j"])
				}
			})
		}
	})
	// The name is claimed, and has no container.
	t.Run("killed between the claims of name and job", func(t *testing.T) {
		for _, redelivered := range []bool{true, false} {
			onHosts(t, func(c *fakeCluster) {
				c.reached = once("claimed", "web", func(h *fakeHost) { h.kill() })
			}, func(c *fakeCluster) {
				c.send("a", "j", named("web"))
				if !redelivered { // it has expired
					c.queues["q"] = nil
				}
				c.to("b")
				pass(time.Second)
				c.started("j")
				c.hosts["a"].start()
				if redelivered {
					pass(time.Second)
					c.started("j", "a")
					c.exit("j", 0)
				} else {
					c.send("b", "s", `{"Dockercmd":"stop","Container":"web"}`)
					pass(time.Second)
					c.want("s", event.Failed, event.ReasonNoSuchContainer)
				}
				c.settled()
			})
		}
	})
	for what, options := range map[string]string{"Host": `"Host":"b"`, "Constraint": `"Constraint":"gpu==yes"`} {
		t.Run("placed by "+what, func(t *testing.T) {
			onHosts(t, func(c *fakeCluster) { c.hosts["b"].labels = map[string]string{"gpu": "yes"} }, func(c *fakeCluster) {
				c.send("c", "first", named("web"))
				placed := strings.Replace(named("web"), `"Remove"`, options+`,"Remove"`, 1)
				c.send("b", "no", placed)
				pass(time.Minute)
				c.started("no")
				c.want("no", event.Errored, event.ReasonNameConflict)
				if r := c.result("no"); r.Host != "b" || !strings.Contains(r.Error, `the host "c" has a container "web"`) {
					t.Errorf("%s: %s", r.Host, r.Error)
				}
				c.exit("first", 0) // its container live.Lingering
				c.send("b", "j", placed)
				pass(time.Minute)
				c.started("j", "b")
				c.exit("j", 0)
				c.settled()
			})
		})
	}
}
