package cmd

import (
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestRemovalEndsExec: a removed container whose job is over leaves no claim, although an exec was in it.
func TestRemovalEndsExec(t *testing.T) {
	onHosts(t, nil, func(c *fakeCluster) {
		c.send("b", "kept", `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Detach":true}}`)
		c.send("b", "e", `{"Dockercmd":"exec","Container":"web","Cmd":["x"]}`)
		c.send("b", "rm", `{"Dockercmd":"remove","Container":"web","Options":{"Force":true}}`)
		pass(time.Minute)
		c.want("rm", event.Succeeded, "")
		c.settled()
	})
}
