package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestHostsStopPastRuns: a stop reaches a host that more runs wait for than the broker delivers, before any of them has ended. A daemon
// without --host does not start on the queue.
func TestHostsStopPastRuns(t *testing.T) {
	t.Parallel()
	l := newHosts(t, "a", "b")
	a, b := l.all[0], l.all[1]
	a.start("-c", "1")
	b.start()
	run := func(name string) publication {
		id := name + "-" + l.serial
		l.know(id)
		return publication{id, fmt.Sprintf(`{"Dockercmd":"run","Image":"busybox","Cmd":["sleep","1000"],"Options":{"Attach":"STDOUT","Network":%q,"Host":"a"}}`, quickNetwork)}
	}
	first := run("first")
	l.publish(first)
	l.awaitStarted(1)
	for i := range 1200 {
		l.publish(run(fmt.Sprint("waits", i)))
	}
	l.eventually("the broker delivers no more runs to a", func() bool { return l.broker.Ready(l.queue+".host.a") > 0 && l.broker.Ready(l.queue) == 0 })
	stop := "stop-" + l.serial
	l.publish(publication{stop, fmt.Sprintf(`{"Dockercmd":"stop","Job":%q,"Options":{"Time":0}}`, first.id)})
	l.awaitResults(stop, first.id)
	l.succeeded([]string{stop})
	if r := l.results()[first.id]; len(r) != 1 || r[0].Status != event.Stopped {
		t.Errorf("the run that was stopped: %+v", r)
	}
	if _, stderr, code := outcome(t, program(t, "health", fmt.Sprint(a.cmd.Process.Pid))); code != 0 {
		t.Errorf("health: exit %d: %s", code, stderr)
	}
	_, stderr, code := outcome(t, program(t, "-q", l.queue, l.dockerHost, l.amqpURL))
	if code != 2 || !strings.Contains(stderr, "several hosts share the queue") || !strings.Contains(stderr, "hint: start it with --host NAME") {
		t.Errorf("a daemon without --host: exit %d: %s", code, stderr)
	}
	a.kill()
	b.kill()
}
