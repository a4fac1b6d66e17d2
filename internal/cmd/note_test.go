package cmd

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
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
