package cmd

import (
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// TestTallyToEnd: only runs and execs last as long as their program does. A stop or an inspect that counted too would hide that.
func TestTallyToEnd(t *testing.T) {
	for command, n := range map[string]int64{"run": 1, "exec": 1, "stop": 0, "inspect": 0, "pull": 0, "": 0} {
		a := newTally()
		a.end(status.Job{Command: command, Started: new(time.Now())}, &event.Result{Status: event.Succeeded})
		if got := a.counters.ToEnd.Count(); got != n {
			t.Errorf("%q counts %d times, want %d", command, got, n)
		}
	}
}
