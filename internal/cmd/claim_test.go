package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// onHosts runs a test inside a bubble, with three hosts that share a queue: a, b and c.
func onHosts(t *testing.T, change func(*fakeCluster), test func(c *fakeCluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, "a", "b", "c")
		if change != nil {
			change(c)
		}
		for _, name := range []string{"a", "b", "c"} {
			c.hosts[name].start()
		}
		synctest.Wait()
		test(c)
		for _, h := range c.hosts {
			h.end()
		}
	})
}

// pass waits for a while, and then until all is quiet.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// to lets only that host take messages of the shared queue.
func (c *fakeCluster) to(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.only = h.name != name
	}
	c.dispatch()
}

// send publishes a message that only that host takes from the shared queue, and waits until all is quiet.
func (c *fakeCluster) send(host, id, body string) {
	c.to(host)
	c.publish("q", &fakeMessage{id: id, body: body})
	synctest.Wait()
}

// result returns the last result of a job.
func (c *fakeCluster) result(id string) (r event.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if all := c.results[id]; len(all) > 0 {
		r = all[len(all)-1]
	}
	return r
}

// want checks the last result of a job.
func (c *fakeCluster) want(id string, status event.Status, reason string) {
	c.t.Helper()
	if r := c.result(id); r.Status != status || r.Reason != reason {
		c.t.Errorf("%s: %s %s %q, want %s %s", id, r.Status, r.Reason, r.Error, status, reason)
	}
}

// started checks which hosts have started a job.
func (c *fakeCluster) started(id string, hosts ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := c.starts[id+"/1"]; !slices.Equal(got, hosts) {
		c.t.Errorf("%s: started on %q, want %q", id, got, hosts)
	}
}

// settled checks that nothing is left after a while: no message, no container, no claim. kept are the names of containers that
// stay.
func (c *fakeCluster) settled(kept ...string) {
	c.t.Helper()
	pass(4 * time.Hour)
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, h := range c.hosts {
		for _, f := range h.docker.all() {
			names = append(names, f.Name)
		}
		if s := h.session; s != nil && len(s.unacked) > 0 {
			c.t.Errorf("host %s has %d messages that are not acked", h.name, len(s.unacked))
		}
	}
	if slices.Sort(names); !slices.Equal(names, kept) {
		c.t.Errorf("containers %q are left, want %q", names, kept)
	}
	for queue, left := range c.queues {
		if len(left) > 0 {
			c.t.Errorf("%d messages are left in %s", len(left), queue)
		}
	}
	if len(kept) == 0 && len(c.claims) > 0 {
		c.t.Errorf("claims are left: %v", c.claims)
	}
}

// jobClaim returns the life of the host that has a job; "": none.
func (c *fakeCluster) jobClaim(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.claims[intake.JobKey("", "q", id)]
}

// exit ends the program of a job, wherever it runs.
func (c *fakeCluster) exit(id string, code int) {
	c.t.Helper()
	for _, h := range c.hosts {
		for _, f := range h.docker.all() {
			if f.Labels[LabelJob] == id && f.runs() {
				f.exit(code)
				return
			}
		}
	}
	c.t.Errorf("%s runs nowhere", id)
}

// once returns a func for reached that calls do the first time that a message comes to a step.
func once(step, id string, do func(h *fakeHost)) func(string, *fakeHost, string) {
	var done atomic.Bool
	return func(s string, h *fakeHost, of string) {
		if s == step && (of == id || id == "") && !done.Swap(true) {
			do(h)
		}
	}
}

const waiter = `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Attach":["STDOUT"],"Remove":true}}`

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
	t.Run("removed by force", func(t *testing.T) {
		for _, body := range []string{named("web"), strings.Replace(named("web"), `,"Remove":true`, "", 1)} {
			onHosts(t, nil, func(c *fakeCluster) {
				c.send("a", "j", body)
				c.send("b", "remove", `{"Dockercmd":"remove","Container":"web","Options":{"Force":true}}`)
				pass(time.Minute)
				c.want("remove", event.Succeeded, "")
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
		})
	})
}

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
			if n := c.hosts["a"].pool.Numbers(); n.Forwarded != 0 || n.LostClaims != 1 {
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
