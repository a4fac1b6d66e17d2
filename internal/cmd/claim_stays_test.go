package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestClaimStays: a command that ends without a container of its own leaves the claims of a container that stays.
func TestClaimStays(t *testing.T) {
	const kept = `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Detach":true}}`
	const fails = `{"Dockercmd":"run","Image":"missing","Options":{"Name":"web"}}`
	for what, end := range map[string]func(c *fakeCluster){
		"the run fails": func(c *fakeCluster) { c.send("a", "j", fails) },
		"the engine does not answer": func(c *fakeCluster) {
			c.hosts["b"].docker.before["inspect"] = []error{dockerapi.ErrUnreachable}
			c.send("a", "j", fails)
		},
		"the run is cancelled": func(c *fakeCluster) {
			c.hosts["b"].docker.holdPull = make(chan struct{})
			c.send("b", "j", strings.Replace(fails, `"Name"`, `"Pull":"always","Name"`, 1))
			c.send("a", "s", `{"Dockercmd":"stop","Job":"j"}`)
			pass(time.Second)
			close(c.hosts["b"].docker.holdPull)
		},
		"another job of the same id fails": func(c *fakeCluster) { c.send("b", "kept", fails) },
		"another job of the same id fails without a name": func(c *fakeCluster) {
			c.send("b", "kept", strings.Replace(fails, `"Name":"web"`, "", 1))
		},
		"another message of the same id is invalid": func(c *fakeCluster) { c.copyTo("b", "kept", "{") },
		"a rename fails": func(c *fakeCluster) {
			c.send("b", "other", strings.Replace(kept, "web", "other", 1))
			c.hosts["b"].docker.before["rename"] = []error{dockerapi.ErrNameInUse}
			c.send("b", "j", `{"Dockercmd":"rename","Container":"other","NewName":"web"}`)
		},
	} {
		t.Run(what, func(t *testing.T) {
			onHosts(t, nil, func(c *fakeCluster) {
				c.send("b", "kept", kept)
				end(c)
				pass(time.Minute)
				if id := "j"; len(c.results[id]) > 0 && c.result(id).Status == event.Succeeded {
					t.Errorf("%+v", c.result(id))
				}
				if c.jobClaim("kept") != "b.0" || c.claims[intake.NameKey("web")] != "b.0" || c.jobClaim("j") != "" {
					t.Errorf("claims %v", c.claims)
				}
				c.send("a", "by name", `{"Dockercmd":"stop","Container":"web"}`)
				c.send("c", "by job", `{"Dockercmd":"start","Job":"kept"}`)
				pass(time.Minute)
				c.want("by name", event.Succeeded, "")
				c.want("by job", event.Succeeded, "")
			})
		})
	}
	t.Run("the next attempt fails", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.send("b", "j", `{"Dockercmd":"run","Image":"busybox","Cmd":["fail"],"Options":{"Attach":["STDOUT"],"Retry":{"Max":2,"Delay":"10s"}}}`)
			pass(time.Second)
			engine := c.hosts["b"].docker
			engine.mu.Lock()
			engine.images["busybox"] = false
			engine.mu.Unlock()
			pass(time.Minute)
			c.want("j", event.Errored, event.ReasonNoSuchImage)
			c.send("a", "l", `{"Dockercmd":"logs","Job":"j"}`)
			pass(time.Minute)
			c.want("l", event.Succeeded, "")
		})
	})
	t.Run("the copy that was sent again is removed", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			body := strings.Replace(waiter, `,"Remove":true`, "", 1)
			c.send("b", "j", body)
			c.exit("j", 1)
			pass(time.Minute)
			c.to("b")
			c.publish("q", &fakeMessage{id: "j", body: body, copy: "sent again"})
			pass(time.Second)
			for _, f := range c.hosts["b"].docker.all() {
				if f.runs() {
					c.send("a", "rm", `{"Dockercmd":"remove","Container":"`+f.Name+`","Options":{"Force":true}}`)
				}
			}
			pass(time.Minute)
			c.want("rm", event.Succeeded, "")
			if c.jobClaim("j") != "b.0" {
				t.Errorf("claims %v", c.claims)
			}
		})
	})
	// What the task itself is about to remove does not stay.
	t.Run("the create was not answered", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			b := c.hosts["b"].docker
			b.after["create"] = []error{dockerapi.ErrUnreachable}
			b.before["inspect"] = []error{dockerapi.ErrTemporary, dockerapi.ErrTemporary, dockerapi.ErrTemporary, dockerapi.ErrTemporary, dockerapi.ErrTemporary, dockerapi.ErrTemporary}
			c.send("b", "j", named("web"))
			pass(10 * time.Minute)
			c.want("j", event.Errored, event.ReasonEngine)
			c.settled()
		})
	})
	t.Run("the next attempt is removed", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			c.hosts["b"].docker.program["once"] = func(f *fakeContainer) {
				if f.Labels[identity.LabelAttempt] == "1" {
					f.exit(1)
				}
			}
			c.send("b", "j", `{"Dockercmd":"run","Image":"busybox","Cmd":["once"],"Options":{"Attach":["STDOUT"],"Retry":{"Max":2,"Delay":"10s"}}}`)
			pass(time.Minute)
			c.send("a", "rm", `{"Dockercmd":"remove","Job":"j","Options":{"Force":true}}`)
			pass(time.Minute)
			c.want("rm", event.Succeeded, "")
			c.send("a", "l", `{"Dockercmd":"logs","Job":"j"}`)
			pass(time.Minute)
			c.want("l", event.Succeeded, "")
		})
	})
}
