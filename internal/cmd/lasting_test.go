package cmd

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
)

// TestLastingBounded: of more cancelled jobs than are remembered, the oldest lose their claims first; all lose them in time.
func TestLastingBounded(t *testing.T) {
	onHosts(t, nil, func(c *fakeCluster) {
		const more = 3 // one job is not in the channel: its end is waited for
		for i := range live.MostCancels + 1 + more {
			c.to("a")
			c.publish("q", &fakeMessage{id: fmt.Sprint("s", i), body: fmt.Sprintf(`{"Dockercmd":"stop","Job":"j%d"}`, i)})
			synctest.Wait()
		}
		if n := len(c.claims); n != live.MostCancels+1 {
			t.Errorf("%d claims, want %d", n, live.MostCancels+1)
		}
		if c.jobClaim("j1") != "" || c.jobClaim(fmt.Sprint("j", more+1)) == "" {
			t.Error("not the oldest have lost theirs")
		}
		pass(2 * recent.For)
		if n := len(c.claims); n != 0 {
			t.Errorf("%d claims are left", n)
		}
	})
}
