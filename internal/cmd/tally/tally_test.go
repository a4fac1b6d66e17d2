package tally

import (
	"fmt"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// TestTallyFailed: however many jobs succeed after it, a failure stays listed, and so does its container.
func TestTallyFailed(t *testing.T) {
	a := New()
	end := func(job string, r event.Result) {
		a.End(status.Job{Job: job, ContainerID: "c-" + job, DeadLetter: r.Status == event.Refused}, &r, true)
	}
	end("exit", event.Result{Status: event.Failed, Reason: event.ReasonExit, Retrying: true})
	end("refused", event.Result{Status: event.Refused, Reason: event.ReasonPolicy, Error: "no"})
	for i := range status.MostEnded {
		end(fmt.Sprint("good-", i), event.Result{Status: event.Succeeded})
		end(fmt.Sprint("stopped-", i), event.Result{Status: event.Stopped})
	}
	ended, failed := a.List()
	if len(ended) != status.MostEnded || len(failed) != 2 {
		t.Fatalf("%d have ended, %d have failed", len(ended), len(failed))
	}
	if f := failed[0]; f.Job != "refused" || f.Reason != event.ReasonPolicy || f.Error != "no" || !f.DeadLetter || f.Ended == nil {
		t.Errorf("the last failure is %+v", f)
	}
	if f := failed[1]; f.Job != "exit" || !f.Retrying || f.DeadLetter {
		t.Errorf("the failure before it is %+v", f)
	}
	if got := a.Container("exit"); got != "c-exit" {
		t.Errorf("the container of the failed job is %q", got)
	}
	for i := range 2 * status.MostEnded {
		end(fmt.Sprint("bad-", i), event.Result{Status: event.Errored})
	}
	s := status.Status{}
	a.Show(&s)
	_, failed = a.List()
	if n, bad := s.Totals(); n != 4*status.MostEnded+2 || bad != 2*status.MostEnded+2 || len(failed) != status.MostEnded || failed[0].Job != "bad-199" {
		t.Errorf("%d of %d failed, %d of them listed, the last is %s", bad, n, len(failed), failed[0].Job)
	}
}

// TestTallyToEnd: only runs and execs last as long as their program does. A stop or an inspect that counted too would hide that.
func TestTallyToEnd(t *testing.T) {
	for command, n := range map[string]int64{"run": 1, "exec": 1, "stop": 0, "inspect": 0, "pull": 0, "": 0} {
		a := New()
		a.End(status.Job{Command: command, Started: new(time.Now())}, &event.Result{Status: event.Succeeded}, true)
		if got := a.counters.ToEnd.Count(); got != n {
			t.Errorf("%q counts %d times, want %d", command, got, n)
		}
	}
}
