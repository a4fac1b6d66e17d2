package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestHostsOnCluster: two hosts, each at its own node of a cluster of three. While one node is dead, and while one is parted from
// the others, no job is lost, and none runs twice.
func TestHostsOnCluster(t *testing.T) {
	brokertest.Disturbs(t)
	l := newClusterHosts(t, "a", "b")
	a, b := l.all[0], l.all[1]
	a.start("-c", "2", "--ahead", "4")
	held := l.runs(2, "until [ -e /go ]; do sleep 0.1; done")
	l.awaitStarted(len(held))
	ahead := l.runs(4, "sleep 0.3") // they wait for their turn on a
	b.start()

	l.server("kill", "broker3")
	jobs := l.runs(10, "sleep 0.3")
	l.awaitResults(jobs...)
	l.server("up", "broker3")

	l.server("cut", "broker1")
	t.Cleanup(func() { l.server("heal", "broker1") })
	for _, job := range held {
		a.touch(job, "/go") // a begins those that wait, and cannot know yet that the others get their messages, too
	}
	l.awaitResults(ahead...)
	l.server("heal", "broker1")
	jobs, l.late = slices.Concat(jobs, held, ahead), ahead
	l.awaitResults(jobs...)
	l.once(jobs, event.Succeeded)
	l.removed(jobs)
}

// TestNodeDiesInPause: a host that does not take messages for a moment keeps its consumer. Otherwise the queue would forget what the
// consumer has not acked, if the host's node of the cluster dies meanwhile.
func TestNodeDiesInPause(t *testing.T) {
	brokertest.Disturbs(t)
	l := newClusterHosts(t, "a")
	a := l.all[0]
	a.start("-c", "2")
	jobs := l.runs(2, "sleep 1000")
	l.awaitStarted(len(jobs))
	l.server("kill", "engine1")
	a.awaitLog("engine lost")
	l.server("kill", "broker1")
	a.kill()
	l.server("up", "broker1")
	l.server("up", "engine1")
	a.start("-c", "2")
	l.awaitResults(jobs...)
	l.once(jobs, event.Failed) // the engine has killed the containers as it started
	l.removed(jobs)
}

// newClusterHosts returns hosts each of which is at its own node of the cluster. The lab is at the second node.
func newClusterHosts(t *testing.T, names ...string) *hosts {
	t.Helper()
	nodes := strings.Fields(brokertest.Required(t, "DISPATCH_TEST_CLUSTER"))
	eval := brokertest.Required(t, "DISPATCH_TEST_BROKER_EVAL")
	t.Setenv("AMQP_URL", nodes[1])
	t.Setenv("DISPATCH_TEST_BROKER_EVAL", filepath.Join(filepath.Dir(eval), "2", filepath.Base(eval)))
	l := newHosts(t, names...)
	for i, h := range l.all {
		h.reaches(nodes[i])
	}
	return l
}
