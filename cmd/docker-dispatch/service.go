package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

const (
	// startPatience is how long the start of the service waits for the two servers. Then it counts as started: a restart would
	// mend nothing, and must not hold up the boot or an upgrade of the package.
	startPatience = time.Minute

	startTick  = time.Second      // how often the service manager is told of a start
	steadyTick = 10 * time.Second // how often later, at least
)

// tellManager tells the service manager how the daemon is, until the returned function is called. It feeds the watchdog: a
// daemon whose state cannot be read does not come that far.
func (d *daemon) tellManager() (stop func()) {
	if d.manager == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(startTick)
		defer tick.Stop()
		said, ready, until := "", false, time.Now().Add(startPatience)
		for {
			s := d.numbers()
			text := statusLine(s)
			switch {
			case !ready && (s.Ready || time.Now().After(until)):
				ready = true
				d.manager.Ready(text)
				steady := steadyTick
				if w := d.manager.Watchdog(); w > 0 {
					steady = min(w, steady)
				}
				tick.Reset(steady)
			case text != said:
				d.manager.Status(text)
			}
			said = text
			if d.manager.Watchdog() > 0 {
				d.manager.Feed()
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// statusLine says in a line what the daemon is doing, or why it is not ready.
func statusLine(s status.Status) string {
	for _, c := range s.Conditions {
		if c.State == status.Unmet {
			return fmt.Sprintf("not ready: %s: %s", c.Name, c.Reason)
		}
	}
	return fmt.Sprintf("%d of %d places in use, %d jobs run, %d wait", s.InUse, s.Slots, s.Running.Count, s.Waiting.Count)
}
