package cmd

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// pulling is a pull with these options.
func pulling(options string) string {
	return `{"Dockercmd":"pull","Image":"new","Options":{` + options + `}}`
}

// pulledOn returns the hosts whose engines were asked for a pull, once for each time.
func (c *fakeCluster) pulledOn() (at string) {
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		for _, call := range c.hosts[name].docker.did() {
			if strings.HasPrefix(call, "pull ") {
				at += name
			}
		}
	}
	return at
}

// TestPlacedPull: a pull is done once, by a host that it allows, whichever takes it, and leaves nothing behind, however it ends.
func TestPlacedPull(t *testing.T) {
	missing := fmt.Errorf("%w: pull access denied", dockerapi.ErrNoSuchImage)
	for _, tt := range []struct{ options, taker, hosts string }{
		{`"Host":"b"`, "a", "b"},
		{`"Host":"b"`, "b", "b"},
		{`"Constraint":"gpu==yes"`, "a", "bc"},
		{`"Constraint":"gpu==yes"`, "b", "b"},
		{`"Constraint":"gpu!=yes"`, "b", "a"},
		{`"Host":"c","Constraint":["gpu==yes","disk!=ssd"]`, "a", "c"},
		{`"Constraint":[]`, "a", "a"},
	} {
		for reason, fails := range map[string]error{"": nil, event.ReasonNoSuchImage: missing} {
			onPlaces(t, func(c *fakeCluster) {
				for _, h := range c.hosts {
					h.docker.before["pull"] = []error{fails}
				}
			}, func(c *fakeCluster) {
				c.send(tt.taker, "j", pulling(tt.options))
				c.settled()
				status := event.Succeeded
				if fails != nil {
					status = event.Errored
				}
				c.want("j", status, reason)
				if at := c.pulledOn(); len(at) != 1 || !strings.Contains(tt.hosts, at) || c.result("j").Host != at {
					t.Errorf("%s, taken by %s: pulled on %q, result of %q, want one of %s", tt.options, tt.taker, at, c.result("j").Host, tt.hosts)
				}
			})
		}
	}
}

// TestPlacedPullRefused: a pull that names no host of the queue is a dead letter. One that its host refuses, by a policy of its own,
// leaves no claim, also if the host's policy gives it another placement.
func TestPlacedPullRefused(t *testing.T) {
	for _, tt := range []struct{ options, policyOfA, policyOfB, reason string }{
		{`"Host":"z"`, `{}`, `{}`, event.ReasonNoSuchHost},
		{`"Host":"b"`, `{}`, `{"Allow":{"Image":"none"}}`, event.ReasonPolicy},
		{`"Host":"b"`, `{}`, `{"Deny":{"Host":"b"}}`, event.ReasonPolicy},
		{`"Host":"b"`, `{}`, `{"Fixed":{"Host":"b"}}`, event.ReasonPolicy},
		{``, `{"Default":{"Host":"b"}}`, `{}`, ""},
		{``, `{"Default":{"Host":"b"}}`, `{"Deny":{"Command":"pull"}}`, event.ReasonPolicy},
	} {
		onPlaces(t, func(c *fakeCluster) {
			c.change = func(cfg *Config) {
				if rules := map[string]string{"a": tt.policyOfA, "b": tt.policyOfB}[cfg.Host]; rules != "" {
					p, err := policy.Parse([]byte(rules))
					if err != nil {
						t.Fatal(err)
					}
					cfg.Policy = func() *policy.Policy { return p }
				}
			}
		}, func(c *fakeCluster) {
			c.send("a", "j", pulling(tt.options))
			c.settled()
			status, at := event.Refused, ""
			switch tt.reason {
			case "":
				status, at = event.Succeeded, "b"
			case event.ReasonNoSuchHost:
				status = event.Errored
			}
			c.want("j", status, tt.reason)
			if got := c.pulledOn(); got != at {
				t.Errorf("%+v: pulled on %q", tt, got)
			}
		})
	}
}

// TestPutBackPull: a pull that no living host may do waits for one, is shown as waiting, and is refused if a stop by Job has come.
func TestPutBackPull(t *testing.T) {
	for _, stopper := range []string{"", "a", "b"} {
		onPlaces(t, nil, func(c *fakeCluster) {
			c.send("a", "j", pulling(forDisk))
			time.Sleep(time.Hour)
			synctest.Wait()
			if w := c.hosts["a"].pool.Status().Waiting; w.Count != 1 || len(w.Jobs) != 1 || w.Jobs[0].For != "a host with disk==ssd" || w.Jobs[0].Command != "pull" {
				t.Errorf("shown as %+v", w)
			}
			status, reason, at := event.Succeeded, "", "d"
			if stopper != "" {
				c.send(stopper, "s", `{"Dockercmd":"stop","Job":"j"}`)
				time.Sleep(time.Minute)
				status, reason, at = event.Refused, event.ReasonCancelled, ""
			}
			c.hosts["d"].start()
			c.settled()
			c.want("j", status, reason)
			if got := c.pulledOn(); got != at {
				t.Errorf("stopped by %q: pulled on %q", stopper, got)
			}
		})
	}
}

// TestPlacedPullRequeued: a pull that is requeued before it began, because the engine of its host is away or its daemon ends, leaves
// no claim once it is done.
func TestPlacedPullRequeued(t *testing.T) {
	for _, taker := range []string{"a", "b"} {
		for _, ends := range []bool{false, true} {
			onPlaces(t, nil, func(c *fakeCluster) {
				b := c.hosts["b"]
				b.docker.die()
				c.send(taker, "j", pulling(`"Host":"b"`))
				time.Sleep(time.Minute)
				if ends {
					b.end()
				}
				b.docker.revive()
				if ends {
					b.start()
				}
				c.settled()
				c.want("j", event.Succeeded, "")
				if r := c.result("j"); r.Host != "b" {
					t.Errorf("pulled on %q", r.Host)
				}
			})
		}
	}
}

// TestPlacedPullRedelivered: a pull whose message is redelivered to another host is done by the host that has it. If that host has lost
// the message before it claimed the job, the other one does it too. Nothing is left behind.
func TestPlacedPullRedelivered(t *testing.T) {
	for step, want := range map[string]string{"pulling": "b", "claiming": "bc"} {
		onPlaces(t, func(c *fakeCluster) {
			var lost atomic.Bool
			lose := func() {
				if lost.Swap(true) {
					return
				}
				b := c.hosts["b"]
				b.cut()
				c.to("c")
				time.Sleep(time.Minute)
				b.connect(b.fakeProcess)
				time.Sleep(time.Second)
			}
			switch step {
			case "pulling":
				c.hosts["b"].docker.steps = func(func(dockerapi.PullProgress)) { lose() }
			case "claiming":
				c.broken = func(call string, _ intake.ClaimKey) error {
					if call == "claim" {
						lose()
					}
					return nil
				}
			}
		}, func(c *fakeCluster) {
			c.send("b", "j", pulling(`"Constraint":"gpu==yes"`))
			c.settled()
			c.want("j", event.Succeeded, "")
			if at := c.pulledOn(); at != want {
				t.Errorf("%s: pulled on %q, want %q", step, at, want)
			}
		})
	}
}

// TestPlacedPullFaults: a pull is done by its host, and leaves no claim, if a host is killed or cut off at any step of its message.
func TestPlacedPullFaults(t *testing.T) {
	for _, step := range []string{"claimed for", "forwarding", "copied", "before forward", "forward", "fenced", "claimed", "unclaimed", "before ack", "ack"} {
		for what, fault := range map[string]func(h *fakeHost){"killed": (*fakeHost).kill, "cut": func(h *fakeHost) { h.cut(); h.connect(h.fakeProcess) }} {
			for _, options := range []string{`"Host":"b"`, `"Constraint":"gpu==yes"`} {
				t.Run(step+" "+what+" "+options, func(t *testing.T) {
					fired := false
					onPlaces(t, func(c *fakeCluster) {
						id := "j"
						if strings.Contains(step, "claimed") {
							id = ""
						}
						c.reached = once(step, id, func(h *fakeHost) { fault(h); fired = true })
						for _, h := range c.hosts {
							h.docker.steps = func(func(dockerapi.PullProgress)) { time.Sleep(time.Minute) }
						}
					}, func(c *fakeCluster) {
						c.send("a", "j", pulling(options))
						time.Sleep(30 * time.Second)
						c.to("c")
						time.Sleep(2 * time.Minute)
						for _, h := range []string{"a", "b", "c"} {
							if c.hosts[h].process.died.Load() {
								c.hosts[h].start()
							}
						}
						if step == "ack" && what == "killed" { // its claim stays until the next message with its id
							pass(time.Hour)
							c.send("c", "j", pulling(options))
						}
						c.settled()
						if !fired {
							t.Error("no message has come to that step")
						}
						c.want("j", event.Succeeded, "")
						if at := c.pulledOn(); strings.Trim(at, "b") != "" && strings.Trim(at, "c") != "" || options == `"Host":"b"` && strings.Trim(at, "b") != "" {
							t.Errorf("pulled on %q", at)
						}
					})
				})
			}
		}
	}
}
