package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

const (
	// startPatience is how long the start of the service waits for the two servers. Then it counts as started: a restart would
	// mend nothing, and must not hold up the boot or an upgrade of the package.
	startPatience = time.Minute

	startTick  = time.Second     // how often the service manager is told of a start
	steadyTick = 5 * time.Second // how often later, at least
)

// tellManager tells the service manager how the daemon is, until the returned function is called. It feeds the watchdog,
// unless the log is stuck; a daemon whose state cannot be read does not come that far.
func (d *daemon) tellManager() (stop func()) {
	if d.manager == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var telling sync.WaitGroup
	telling.Go(func() {
		tick := time.NewTicker(startTick)
		defer tick.Stop()
		until := time.Now().Add(startPatience)
		for {
			s := d.numbers()
			text := statusLine(s)
			if !d.ready.Load() && (connected(s) || time.Now().After(until)) {
				d.manager.Ready(text)
				d.ready.Store(true)
				steady := steadyTick
				if w := d.manager.Watchdog(); w > 0 {
					steady = min(w, steady)
				}
				tick.Reset(steady)
			} else {
				d.manager.Status(text)
			}
			if d.manager.Watchdog() > 0 && d.logged.stuckFor() < stuck {
				d.manager.Feed()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		telling.Wait()
	}
}

// connected reports whether both servers are there. A disk that is short, for example, does not hold up a start.
func connected(s status.Status) bool {
	return !slices.ContainsFunc(s.Conditions, func(c status.Condition) bool {
		return c.State == status.Unmet && slices.Contains([]string{"engine", "broker", "control", "claims", "host", "publishing"}, c.Name)
	})
}

// statusLine says in a line what the daemon is doing, or why it is not ready, and what somebody should look at.
func statusLine(s status.Status) string {
	line := fmt.Sprintf("%d of %d places in use, %d running, %d waiting", s.InUse, s.Slots, s.Running.Count, s.Waiting.Count)
	for _, c := range s.Conditions {
		switch c.State {
		case status.Unmet:
			return fmt.Sprintf("not ready: %s: %s", c.Name, c.Reason)
		case status.Warning:
			line += fmt.Sprintf("; warning: %s: %s", c.Name, c.Reason)
		}
	}
	return line
}
