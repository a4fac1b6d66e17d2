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

// onFullHosts is onHosts with so many places of the queue, each for a run, and of the control queue. The container web runs on host a.
func onFullHosts(t *testing.T, places, control int, test func(c *fakeCluster, web *fakeContainer)) {
	onHosts(t, func(c *fakeCluster) {
		c.change = func(cfg *Config) {
			cfg.Concurrency, cfg.Places, cfg.ControlPlaces, cfg.Policy = places, places, control, withPolicy(`{"Trust": true}`)
		}
		for _, h := range c.hosts {
			h.prefetch = places
		}
	}, func(c *fakeCluster) {
		c.send("a", "web", `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Detach":true}}`)
		c.want("web", event.Succeeded, "")
		test(c, c.hosts["a"].docker.named(t, "web"))
		c.send("b", "last", `{"Dockercmd":"remove","Container":"web"}`)
		pass(time.Minute)
		c.mu.Lock()
		defer c.settled()
		defer c.mu.Unlock()
		for _, h := range c.hosts { // made once, and stays
			delete(c.claims, intake.JobKey("", "q", "\x00"+h.name))
			if p := h.pool; p.holders.n.Load()+p.controlHolders.n.Load()+p.hostHolders.n.Load() != 0 {
				t.Errorf("%s: some are still counted", h.name)
			}
		}
	})
}

// TestHoldsAtHome: a command that keeps its message for long keeps no place of the queue that the hosts share, and is not refused.
func TestHoldsAtHome(t *testing.T) {
	for _, ref := range []string{`"Container":"web"`, `"Job":"web"`, "id"} {
		for _, command := range []string{
			`{"Dockercmd":"wait",REF}`, `{"Dockercmd":"logs",REF,"Options":{"Follow":true}}`, `{"Dockercmd":"stop",REF,"Options":{"Time":86400}}`,
		} {
			for _, from := range []string{"a", "b"} {
				for _, id := range []string{"m", ""} {
					if ref == "id" && from == "b" {
						continue
					}
					onFullHosts(t, 1, 250, func(c *fakeCluster, web *fakeContainer) {
						ref := strings.Replace(ref, "id", `"Container":"`+web.ID+`"`, 1)
						c.send(from, id, strings.Replace(command, "REF", ref, 1))
						pass(time.Hour)
						if len(c.dead) > 0 {
							t.Fatalf("%s: dead letters %q", command, c.dead)
						}
						c.mu.Lock()
						for _, h := range c.hosts {
							if h.session.taken > 0 {
								t.Errorf("%s: it keeps a place of the queue on %s", command, h.name)
							}
						}
						c.mu.Unlock()
						c.send("a", "inspect", `{"Dockercmd":"inspect","Container":"`+web.ID+`"}`)
						web.exit(3)
						pass(time.Minute)
						if id != "" {
							c.want(id, event.Succeeded, "")
						}
						if n := len(c.results); n != 3 {
							t.Errorf("%s: %d results, want 3", command, n)
						}
					})
				}
			}
		}
	}
}

// TestRedeployAtHome: stop, remove and run of one name, with a stop that takes hours, are carried out in their order. None is
// refused because too many wait.
func TestRedeployAtHome(t *testing.T) {
	for _, places := range []int{1, 4} {
		for _, hours := range []time.Duration{0, 3} {
			onFullHosts(t, places, 250, func(c *fakeCluster, web *fakeContainer) {
				c.send("a", "stop", `{"Dockercmd":"stop","Container":"web","Options":{"Time":86400}}`)
				for _, m := range []fakeMessage{
					{id: "rm", body: `{"Dockercmd":"remove","Container":"web"}`},
					{id: "run", body: strings.Replace(named("web"), `,"Remove":true`, "", 1)},
				} {
					pass(time.Second) // two that are moved in the same moment have no order
					c.publish("q", &m)
				}
				pass(hours*time.Hour + time.Second)
				web.exit(143)
				pass(time.Minute)
				// One that comes as the run is moved can overtake it: see help operate.
				c.publish("q", &fakeMessage{id: "look", body: `{"Dockercmd":"inspect","Container":"web"}`})
				pass(time.Second)
				for _, id := range []string{"stop", "rm"} {
					c.want(id, event.Succeeded, "")
				}
				if r := c.results["run"]; places == 1 && len(r) == 1 && r[0].Reason == event.ReasonNameConflict {
					return // it has overtaken the remove, as both were moved: see help operate
				}
				c.exit("run", 0)
				pass(time.Minute)
				c.want("run", event.Succeeded, "")
				c.want("look", event.Succeeded, "")
				c.started("run", "a")
				if len(c.dead) > 0 {
					t.Errorf("%d places, %d hours: dead letters %q", places, hours, c.dead)
				}
			})
		}
	}
}

// TestHoldsAtHomeFromControl: commands that are too many for the control queue hold at home. What is too much there too is refused.
func TestHoldsAtHomeFromControl(t *testing.T) {
	onFullHosts(t, 4, 4, func(c *fakeCluster, web *fakeContainer) {
		for i := range 6 {
			c.to("a")
			c.publish("q", &fakeMessage{id: fmt.Sprint(i), body: `{"Dockercmd":"wait","Container":"web"}`, control: true})
			synctest.Wait()
		}
		if got := fmt.Sprint(c.dead); got != "[4 5]" {
			t.Errorf("dead letters %s", got)
		}
		web.exit(0)
		pass(time.Minute)
		for i := range 4 {
			c.want(fmt.Sprint(i), event.Succeeded, "")
		}
		c.want("5", event.Errored, event.ReasonConflict)
	})
}

// TestGoesHomeOnce: a command that is on its way home when its host is killed or cut off is carried out.
func TestGoesHomeOnce(t *testing.T) {
	for _, step := range []string{"forwarding", "copied", "before forward", "forward", "fenced"} {
		for what, fault := range map[string]func(h *fakeHost){"killed": (*fakeHost).kill, "cut": func(h *fakeHost) { h.cut(); h.connect(h.fakeProcess) }} {
			t.Run(step+" "+what, func(t *testing.T) {
				onFullHosts(t, 1, 250, func(c *fakeCluster, web *fakeContainer) {
					fired := false
					c.reached = once(step, "", func(h *fakeHost) { fired = true; fault(h) })
					c.send("a", "wait", `{"Dockercmd":"wait","Container":"web"}`)
					pass(time.Minute)
					c.to("b")
					if c.hosts["a"].process.died.Load() {
						c.hosts["a"].start()
					}
					pass(time.Minute)
					if len(c.results["wait"]) > 0 || !fired {
						t.Errorf("fired %v, results %+v", fired, c.results["wait"])
					}
					web.exit(0)
					pass(time.Minute)
					c.want("wait", event.Succeeded, "")
				})
			})
		}
	}
}
