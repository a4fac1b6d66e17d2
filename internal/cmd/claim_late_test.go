package cmd

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestClaimComesLate: while a host's claim is under way, its delivery is lost, and another host runs the job and is done with it. So
// the claim is granted, and says nothing: the first host does not run the job.
func TestClaimComesLate(t *testing.T) {
	onHosts(t, nil, func(c *fakeCluster) {
		var began atomic.Bool
		c.latency = func() {
			if !began.Swap(true) {
				c.hosts["a"].cut()
				c.to("b")
				time.Sleep(time.Minute)
			}
		}
		c.send("a", "j", strings.ReplaceAll(waiter, "wait", "quick"))
		c.settled()
		c.started("j", "b")
		c.want("j", event.Succeeded, "")
	})
}
