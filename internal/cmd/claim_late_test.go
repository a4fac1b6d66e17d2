package cmd

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestClaimComesLate: a host's delivery is lost while it claims the job.
func TestClaimComesLate(t *testing.T) {
	quick := strings.ReplaceAll(waiter, "wait", "quick")
	// The claim is granted after another host has run the job and was done with it. So it says nothing.
	t.Run("after another host's", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			var began atomic.Bool
			c.latency = func() {
				if !began.Swap(true) {
					c.hosts["a"].cut()
					c.to("b")
					time.Sleep(time.Minute)
				}
			}
			c.send("a", "j", quick)
			pass(time.Hour)
			c.started("j", "b")
			c.want("j", event.Succeeded, "")
		})
	})
	// The claim is granted before another host gets the redelivery. So that host forwards it here, and the claim must still be here.
	t.Run("before another host's", func(t *testing.T) {
		onHosts(t, nil, func(c *fakeCluster) {
			a := c.hosts["a"]
			c.reached = once("claimed", "", func(*fakeHost) {
				a.cut()
				c.to("b")
				time.Sleep(time.Minute)
			})
			c.send("a", "j", quick)
			pass(2 * time.Minute)
			a.connect(a.fakeProcess)
			c.settled()
			c.started("j", "a")
			c.want("j", event.Succeeded, "")
		})
	})
}
