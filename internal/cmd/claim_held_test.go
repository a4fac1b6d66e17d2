package cmd

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestHeldByAnotherHost: a job ends while its message is another host's, which cannot forward it yet. This host's queues are quiet, so it
// removes the container. The job does not run again when the message is forwarded at last.
func TestHeldByAnotherHost(t *testing.T) {
	for _, noRecord := range []bool{true, false} {
		for _, stall := range []time.Duration{time.Second, 20 * time.Second, 30 * time.Minute} {
			t.Run(fmt.Sprintf("%v, results %v", stall, !noRecord), func(t *testing.T) {
				onHosts(t, func(c *fakeCluster) {
					c.noRecord = noRecord
					c.reached = once("forwarding", "j", func(*fakeHost) { time.Sleep(stall) })
				}, func(c *fakeCluster) {
					c.send("a", "j", waiter)
					c.hosts["a"].cut()
					c.exit("j", 0)
					c.to("b")
					c.hosts["a"].connect(c.hosts["a"].fakeProcess)
					synctest.Wait()
					pass(time.Hour)
					c.started("j", "a")
					pass(2 * time.Hour) // the claim is given up
				})
			})
		}
	}
}
