package cmd

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
)

// onPlaces runs a test inside a bubble. Hosts a, b and c run, of which b and c have a GPU. Hosts d and e, with a disk, do not.
func onPlaces(t *testing.T, change func(*fakeCluster), test func(c *fakeCluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, "a", "b", "c", "d", "e")
		for name, label := range map[string]string{"b": "gpu=yes", "c": "gpu=yes", "d": "disk=ssd", "e": "disk=ssd"} {
			key, value, _ := strings.Cut(label, "=")
			c.hosts[name].labels = map[string]string{key: value}
		}
		if change != nil {
			change(c)
		}
		for _, name := range []string{"a", "b", "c"} {
			c.hosts[name].start()
		}
		synctest.Wait()
		test(c)
		for _, h := range c.hosts {
			if h.fakeProcess != nil {
				h.end()
			}
		}
	})
}

// asking is a run that waits for its end, with these options more.
func asking(options string) string {
	return strings.Replace(waiter, `"Remove":true`, `"Remove":true,`+options, 1)
}

// TestPlaced: a message is run by a host that it allows, whichever takes it, and leaves nothing behind.
func TestPlaced(t *testing.T) {
	const gpus = "bc"
	for _, tt := range []struct {
		options string
		taker   string
		hosts   string // that may run it
		calls   int64  // of claims until it runs, where it matters
	}{
		{`"Host":"b"`, "a", "b", 2},
		{`"Host":"b"`, "b", "b", 1},
		{`"Constraint":"gpu==yes"`, "a", gpus, 4},
		{`"Constraint":"gpu==yes"`, "b", "b", 1}, // it costs no more than a message for any host
		{`"Constraint":"gpu==yes"`, "c", "c", 1},
		{`"Constraint":"gpu!=yes"`, "b", "a", 0},
		{`"Host":"c","Constraint":["gpu==yes","disk!=ssd"]`, "a", "c", 0},
		{`"Constraint":[]`, "a", "a", 1},
	} {
		onPlaces(t, nil, func(c *fakeCluster) {
			before := c.calls.Load()
			c.send(tt.taker, "j", asking(tt.options))
			if n := c.calls.Load() - before; tt.calls > 0 && n != tt.calls {
				t.Errorf("%s: %d calls of claims, want %d", tt.options, n, tt.calls)
			}
			if at := c.starts["j/1"]; len(at) != 1 || !strings.Contains(tt.hosts, at[0]) {
				t.Errorf("%s, taken by %s: started on %q, want one of %s", tt.options, tt.taker, at, tt.hosts)
			}
			c.exit("j", 0)
			c.settled()
			c.want("j", event.Succeeded, "")
		})
	}
}

// TestPlacedCreate: a container that stays is made where its message says, and is found there.
func TestPlacedCreate(t *testing.T) {
	onPlaces(t, nil, func(c *fakeCluster) {
		c.send("a", "j", `{"Dockercmd":"create","Image":"busybox","Options":{"Name":"web","Host":"b"}}`)
		c.want("j", event.Succeeded, "")
		if len(c.hosts["b"].docker.all()) != 1 {
			t.Error("it is not on b")
		}
		c.send("c", "r", `{"Dockercmd":"remove","Container":"web"}`)
		c.want("r", event.Succeeded, "")
		c.settled()
	})
}

// TestNoSuchHost: a message for a host that never was, or that was released, is a dead letter that says how to see the names.
func TestNoSuchHost(t *testing.T) {
	onPlaces(t, nil, func(c *fakeCluster) {
		c.hosts["c"].kill()
		c.release("c")
		for _, host := range []string{"z", "d", "c"} {
			c.send("a", "for-"+host, asking(`"Host":"`+host+`"`))
			c.want("for-"+host, event.Errored, event.ReasonNoSuchHost)
			want := "Options.Host: no host of the queue q has the name " + host + ", or it was released; docker-dispatch hosts -q q lists the names"
			if r := c.result("for-" + host); r.Error != want {
				t.Errorf("got  %s\nwant %s", r.Error, want)
			}
		}
		if len(c.dead) != 3 {
			t.Errorf("dead letters %q", c.dead)
		}
		c.settled()
	})
}

// TestPlacedOnDeadHost: a message for a host that is down waits for it, and is run there, though the labels have changed.
func TestPlacedOnDeadHost(t *testing.T) {
	var log strings.Builder
	onPlaces(t, func(c *fakeCluster) {
		c.change = func(cfg *Config) {
			if cfg.Host == "b" {
				cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
			}
		}
	}, func(c *fakeCluster) {
		c.hosts["b"].kill()
		c.send("a", "j", asking(`"Host":"b"`))
		time.Sleep(time.Hour)
		c.started("j")
		c.hosts["b"].start()
		synctest.Wait()
		c.started("j", "b")
		c.exit("j", 0)
		pass(time.Minute)

		// The labels change after b was chosen.
		c.hosts["c"].kill()
		c.reached = once("forwarding", "k", func(*fakeHost) { c.hosts["b"].kill() })
		c.send("a", "k", asking(`"Constraint":"gpu==yes"`))
		c.hosts["b"].labels = nil
		c.hosts["b"].start()
		synctest.Wait()
		c.started("k", "b")
		if said := "run here, because another host chose this one"; strings.Count(log.String(), said) != 1 {
			t.Errorf("not said once: %s\n%s", said, log.String())
		}
		c.exit("k", 0)
		c.hosts["c"].start()
		c.settled()
		c.want("j", event.Succeeded, "")
		c.want("k", event.Succeeded, "")
	})
}

const forDisk = `"Constraint":"disk==ssd"`

// TestPutBack: a message that no living host may run waits for one, holds up nothing, and is shown as waiting. Its log has one
// warning.
func TestPutBack(t *testing.T) {
	var log strings.Builder
	onPlaces(t, func(c *fakeCluster) {
		c.change = func(cfg *Config) {
			cfg.Concurrency = 1
			if cfg.Host == "a" {
				cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
			}
		}
	}, func(c *fakeCluster) {
		began := time.Now()
		for _, id := range []string{"j", "k", "l", "m", "n"} { // more than places
			c.send("a", id, strings.Replace(asking(forDisk), `"wait"`, `"work"`, 1))
		}
		c.send("a", "other", waiter)
		c.started("other", "a")
		c.started("j")
		for range 3 {
			time.Sleep(time.Hour)
			synctest.Wait()
			shown := 0
			for _, j := range c.hosts["a"].pool.Status().Waiting.Jobs {
				if shown++; j.For != "a host with disk==ssd" || j.Phase != "waiting" || j.Taken.Sub(began) > time.Second || j.Command != "run" {
					t.Errorf("shown as %+v", j)
				}
			}
			if shown != 5 {
				t.Errorf("%d are shown", shown)
			}
		}
		if n := c.hosts["a"].pool.Status().Waiting.Count; n != 5 {
			t.Errorf("%d wait", n)
		}
		if n := strings.Count(log.String(), "level=WARN"); n != 5 {
			t.Errorf("%d warnings:\n%s", n, log.String())
		}
		c.to("b") // another host takes them now
		c.hosts["d"].start()
		c.exit("other", 0)
		c.settled()
		for _, id := range []string{"j", "k", "l", "m", "n"} {
			c.started(id, "d")
		}
		if s := c.hosts["a"].pool.Status(); s.Waiting.Count != 0 {
			t.Errorf("still shown: %+v", s.Waiting)
		}
	})
}

// TestPutBackReleased: if the host that is chosen was released just now, the message waits for another.
func TestPutBackReleased(t *testing.T) {
	onPlaces(t, nil, func(c *fakeCluster) {
		c.hosts["d"].start()
		c.hosts["d"].known = false
		c.send("a", "j", asking(forDisk))
		c.started("j")
		c.hosts["e"].start()
		c.hosts["d"].kill()
		time.Sleep(2 * hostLook)
		synctest.Wait()
		c.exit("j", 0)
		c.settled()
		c.started("j", "e")
	})
}

// TestPutBackCancelled: a stop by Job ends a job that waits for a host, whichever host takes the stop, and later the message.
func TestPutBackCancelled(t *testing.T) {
	for _, stopper := range []string{"a", "b"} {
		for _, then := range []string{"a", "b", "c"} {
			onPlaces(t, nil, func(c *fakeCluster) {
				c.send("a", "j", asking(forDisk))
				c.send(stopper, "s", `{"Dockercmd":"stop","Job":"j"}`)
				c.to(then)
				time.Sleep(time.Minute)
				synctest.Wait()
				c.want("j", event.Refused, event.ReasonCancelled)
				c.hosts["d"].start()
				c.settled()
				c.started("j")
			})
		}
	}
}

// TestPutBackCancelledJustNow: a stop that comes while the hosts are looked for ends the job at once.
func TestPutBackCancelledJustNow(t *testing.T) {
	onPlaces(t, nil, func(c *fakeCluster) {
		c.broken = func(call string, _ intake.ClaimKey) error {
			if call == "living" {
				c.publish("q.host.a", &fakeMessage{id: "s", body: `{"Dockercmd":"stop","Job":"j"}`})
				time.Sleep(time.Second)
			}
			return nil
		}
		c.send("a", "j", asking(forDisk))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		c.want("j", event.Refused, event.ReasonCancelled)
		c.want("s", event.Succeeded, "")
		c.settled()
	})
}

// TestPutBackShownOnce: a job whose message has come back is not shown a second time as one that waits for a host.
func TestPutBackShownOnce(t *testing.T) {
	onPlaces(t, nil, func(c *fakeCluster) {
		c.broken = func(call string, _ intake.ClaimKey) error {
			if s := c.hosts["a"].pool.Status(); call == "living" && s.Running.Count+s.Waiting.Count != 1 {
				t.Errorf("%d run, %d wait", s.Running.Count, s.Waiting.Count)
			}
			return nil
		}
		c.send("a", "j", asking(forDisk))
		time.Sleep(time.Minute)
		synctest.Wait()
		c.hosts["d"].start()
		time.Sleep(time.Minute)
		c.exit("j", 0)
		c.settled()
	})
}

// TestPlacedOnce: a message that is on its way to another host, or back into the queue, when its host is killed or cut off, is run
// once.
func TestPlacedOnce(t *testing.T) {
	for _, step := range []string{"claimed for", "forwarding", "copied", "before forward", "forward", "fenced", "putting back", "put back", "before ack", "ack"} {
		for what, fault := range map[string]func(h *fakeHost){"killed": (*fakeHost).kill, "cut": func(h *fakeHost) { h.cut(); h.connect(h.fakeProcess) }} {
			for _, program := range []string{"quick", "work"} {
				t.Run(step+" "+what, func(t *testing.T) {
					fired := false
					onPlaces(t, func(c *fakeCluster) {
						id := "j"
						if step == "claimed for" {
							id = ""
						}
						c.reached = once(step, id, func(h *fakeHost) { fault(h); fired = true })
					}, func(c *fakeCluster) {
						back := step == "putting back" || step == "put back" || strings.HasSuffix(step, "ack")
						options := `"Constraint":"gpu==yes"`
						if back {
							options = forDisk
						}
						c.send("a", "j", strings.Replace(asking(options), "wait", program, 1))
						time.Sleep(2 * live.Lingering) // so long a job is known by its claim
						c.to("c")
						if program == "work" {
							time.Sleep(time.Minute)
						}
						for _, h := range []string{"a", "b", "c"} { // the message may come to that step at its taker or its host
							if c.hosts[h].process.died.Load() {
								c.hosts[h].start()
							}
						}
						c.hosts["d"].start()
						c.hosts["e"].start()
						c.to("d")
						c.mu.Lock()
						c.hosts["e"].only = false // they take turns
						c.mu.Unlock()
						c.settled()
						if !fired {
							t.Error("no message has come to that step")
						}
						if n := len(c.starts["j/1"]); n != 1 {
							t.Errorf("started on %q", c.starts["j/1"])
						}
						c.want("j", event.Succeeded, "")
					})
				})
			}
		}
	}
}

// TestPlacedRefused: a host that refuses what another host has placed there leaves no claim.
func TestPlacedRefused(t *testing.T) {
	onPlaces(t, func(c *fakeCluster) {
		strict, err := policy.Parse([]byte(`{"Allow":{"Image":"none"}}`))
		if err != nil {
			t.Fatal(err)
		}
		c.change = func(cfg *Config) {
			if cfg.Host == "b" {
				cfg.Policy = func() *policy.Policy { return strict }
			}
		}
	}, func(c *fakeCluster) {
		c.send("a", "j", asking(`"Host":"b"`))
		c.want("j", event.Refused, event.ReasonPolicy)
		c.send("a", "k", `{"Dockercmd":"create","Image":"busybox","Options":{"Name":"web","Host":"b"}}`)
		c.want("k", event.Refused, event.ReasonPolicy)
		c.settled()
	})
}

// TestPlacedCancelled: a job that is cancelled while it waits on the host where it was placed leaves no claim.
func TestPlacedCancelled(t *testing.T) {
	onPlaces(t, func(c *fakeCluster) {
		c.change = func(cfg *Config) { cfg.Concurrency = 1 }
	}, func(c *fakeCluster) {
		c.send("b", "first", waiter)
		c.send("a", "j", asking(`"Host":"b"`))
		c.send("c", "s", `{"Dockercmd":"stop","Job":"j"}`)
		c.want("s", event.Succeeded, "")
		c.want("j", event.Refused, event.ReasonCancelled)
		c.exit("first", 0)
		c.settled()
	})
}

// TestPlacedRetry: each attempt is placed, and an attempt that is put back stays that attempt.
func TestPlacedRetry(t *testing.T) {
	onPlaces(t, nil, func(c *fakeCluster) {
		c.hosts["d"].start()
		body := strings.Replace(asking(forDisk+`,"Retry":{"Max":1,"Delay":"1s"}`), `"wait"`, `"fail"`, 1)
		c.send("a", "j", body)
		c.started("j", "d")
		c.hosts["d"].kill()
		time.Sleep(time.Hour)
		c.hosts["d"].start()
		c.settled()
		if at := c.starts["j/2"]; len(at) != 1 || at[0] != "d" {
			t.Errorf("the second attempt was started on %q", at)
		}
		if r := c.result("j"); r.Attempt != 2 || !strings.HasSuffix(r.Error, "given up after 2 attempts") {
			t.Errorf("%+v", r)
		}
	})
}

// TestPlacedWithoutPlace: a message for another host does not wait for a place here.
func TestPlacedWithoutPlace(t *testing.T) {
	onPlaces(t, func(c *fakeCluster) {
		c.change = func(cfg *Config) { cfg.Concurrency = 1 }
	}, func(c *fakeCluster) {
		c.send("a", "first", waiter)
		c.send("a", "second", asking(`"Host":"b"`))
		c.started("second", "b")
		c.exit("first", 0)
		c.exit("second", 0)
		c.settled()
	})
}

// TestPlacedStays: a job that has its container, or its claim, on a host stays there when the labels change, and waits for a place as any.
func TestPlacedStays(t *testing.T) {
	for _, step := range []string{"claimed", "started"} {
		for _, taker := range []string{"a", "b"} {
			onPlaces(t, func(c *fakeCluster) {
				c.change = func(cfg *Config) { cfg.Concurrency = 1 }
				c.hosts["a"].labels = map[string]string{"disk": "ssd"}
				if step == "claimed" {
					c.reached = once(step, "", func(h *fakeHost) { h.kill() })
				}
			}, func(c *fakeCluster) {
				c.send("a", "j", asking(forDisk))
				c.hosts["a"].kill()
				c.hosts["a"].labels = nil
				c.hosts["a"].prefetch = 0
				c.hosts["a"].start()
				c.publish("q.host.a", &fakeMessage{id: "first", body: waiter})
				synctest.Wait()
				c.started("first", "a")
				c.hosts["a"].prefetch = 4
				c.hosts["d"].start()
				c.to(taker)
				synctest.Wait()
				if running := c.hosts["a"].pool.Status().InUse; running != 1 {
					t.Errorf("%s, taken by %s: %d places in use", step, taker, running)
				}
				for _, j := range c.hosts["a"].pool.Status().Running.Jobs {
					if j.Job == "j" && j.Phase != "begun" {
						t.Errorf("%s, taken by %s: runs without a place: %+v", step, taker, j)
					}
				}
				c.exit("first", 0)
				synctest.Wait()
				c.exit("j", 0)
				c.settled()
				c.started("j", "a")
				c.want("j", event.Succeeded, "")
			})
		}
	}
}

// TestPlacementAlone: a daemon that has the queue alone refuses a placement, but follows a container that it has.
func TestPlacementAlone(t *testing.T) {
	for _, options := range []string{`"Host":"b"`, `"Constraint":"gpu!=yes"`} {
		onBench(t, nil, func(b *bench) {
			for i, body := range []string{asking(options), pulling(options)} {
				b.send("job", fmt.Sprint("j", i), false, body)
				if r := b.result(); r.Status != event.Refused || r.Reason != event.ReasonInvalid || !strings.Contains(r.Error, "--host NAME") {
					t.Errorf("%s: %+v", body, r)
				}
			}
		})
	}
}
