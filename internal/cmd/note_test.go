package cmd

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestNoteBeforeClaimEnds: the host that forwards a run is killed before its ack. The run ends, and its container is removed. Its claim
// stays, so a third host that gets the original does not run it again.
func TestNoteBeforeClaimEnds(t *testing.T) {
	for what, options := range map[string]string{
		"foreground":        `"Attach":["STDOUT"],"Remove":true`,
		"detached":          `"Detach":true,"Remove":true`,
		"kept":              `"Attach":["STDOUT"]`,
		"kept and detached": `"Detach":true`,
	} {
		t.Run(what, func(t *testing.T) {
			onHosts(t, nil, func(c *fakeCluster) {
				c.send("b", "first", named("web"))
				c.exit("first", 0)
				synctest.Wait()
				c.reached = once("copied", "j", func(h *fakeHost) { h.kill() })
				c.send("a", "j", `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web",`+options+`}}`)
				pass(10 * time.Second)
				c.exit("j", 0)
				pass(time.Minute)
				if strings.HasPrefix(what, "kept") {
					c.publish("q.host.b", &fakeMessage{id: "rm", body: `{"Dockercmd":"remove","Container":"web"}`})
					pass(time.Minute)
					c.want("rm", event.Succeeded, "")
				}
				c.to("c") // it has a free place by now
				c.settled()
				c.started("j", "b")
			})
		})
	}
}

// TestNoteNeverComes: the host that forwarded a run was killed before it could tell of its ack. The run is over all the same, a few minutes
// after its end.
func TestNoteNeverComes(t *testing.T) {
	t.Run("a container to be removed", func(t *testing.T) {
		for _, after := range []time.Duration{0, time.Hour} { // of the sweep
			for _, detach := range []string{"", `"Detach":true,`} {
				onHosts(t, func(c *fakeCluster) {
					c.change = func(cfg *Config) { cfg.SweepAfter = after }
					c.reached = once("forward", "j", func(h *fakeHost) { h.kill() })
				}, func(c *fakeCluster) {
					c.send("b", "first", named("web"))
					c.exit("first", 0)
					c.send("a", "j", strings.Replace(named("web"), `"Attach":["STDOUT"],`, detach, 1))
					pass(time.Minute)
					c.exit("j", 0)
					pass(5 * time.Minute)
					c.send("c", "look", `{"Dockercmd":"inspect","Container":"web"}`)
					c.want("look", event.Succeeded, "")
					if c.hosts["b"].pool.jobs.ByID("j") != nil {
						t.Error("the run is not over")
					}
					c.mu.Lock()
					if c.claims[intake.JobKey("", "q", "j")] != "b.0" || c.claims[intake.NameKey("web")] != "b.0" {
						t.Errorf("the container stays, without its claims: %v", c.claims)
					}
					c.mu.Unlock()
					if after > 0 {
						c.settled()
					} else {
						c.settled("web") // as what a crash left
					}
				})
			}
		}
	})
	t.Run("no container, and the claim is held for a while", func(t *testing.T) {
		onHosts(t, func(c *fakeCluster) {
			c.reached = once("forward", "j", func(h *fakeHost) { h.kill() })
		}, func(c *fakeCluster) {
			c.send("b", "first", named("web"))
			c.send("a", "j", named("web"))
			c.want("j", event.Errored, event.ReasonNameConflict)
			pass(10 * time.Minute)
			if c.hosts["b"].pool.jobs.ByID("j") != nil || c.jobClaim("j") != "b.0" {
				t.Error("the run is not over, or its claim is gone")
			}
			c.exit("first", 0)
			c.settled()
		})
	})
	t.Run("no container", func(t *testing.T) {
		onHosts(t, func(c *fakeCluster) {
			c.reached = once("forward", "j", func(h *fakeHost) { h.kill() })
		}, func(c *fakeCluster) {
			c.send("b", "first", named("web"))
			c.exit("first", 0)
			fails := strings.Replace(named("web"), "busybox", "missing", 1)
			c.send("a", "j", fails)
			pass(time.Minute)
			c.want("j", event.Errored, event.ReasonNoSuchImage)
			c.hosts["b"].docker.images["missing"] = true
			c.send("c", "l", `{"Dockercmd":"logs","Job":"j"}`)
			c.to("c")
			c.publish("q", &fakeMessage{id: "j", body: fails, copy: "sent again"})
			pass(3 * time.Minute)
			c.started("j", "b")
			c.exit("j", 0)
			pass(time.Minute)
			c.want("j", event.Succeeded, "")
			if len(c.results["l"]) == 0 {
				t.Error("a command by Job still waits")
			}
			c.settled()
		})
	})
}
