package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
	amqp "github.com/rabbitmq/amqp091-go"
)

// TestHostsShareCommands: runs spread over the hosts, and each of 40 stops and removes in a random order finds its container,
// whichever host takes the message.
func TestHostsShareCommands(t *testing.T) {
	t.Parallel()
	l := newHosts(t, "a", "b")
	for _, h := range l.all {
		h.start("-c", "20") // a place for each job on any host
	}
	const n = 20
	jobs := l.runs(n, "trap 'exit 0' TERM; sleep 1000 & wait")
	l.awaitStarted(n)
	for _, h := range l.all {
		if len(h.started()) == 0 {
			t.Errorf("host %s has started nothing", h.name)
		}
	}
	var stops []string
	for _, i := range rand.Perm(n) {
		id, queue := fmt.Sprintf("stop-%s-%d", l.serial, i), l.queue
		if i%4 >= 2 {
			queue += ".control"
		}
		body := fmt.Sprintf(`{"Dockercmd": "stop", %q: %q}`, []string{"Container", "Job"}[i%2], jobs[i])
		l.broker.Send(queue, amqp.Publishing{MessageId: id, Body: []byte(body), DeliveryMode: amqp.Persistent})
		stops = append(stops, id)
	}
	l.awaitResults(append(stops, jobs...)...)
	l.succeeded(stops)
	l.once(jobs, event.Stopped)
	l.removed(jobs)
	forwarded := 0
	for _, h := range l.all {
		forwarded += strings.Count(h.log(), `msg="forwarded`)
	}
	t.Logf("%d messages were forwarded", forwarded)
}

// TestHostKilled: what a killed host was doing waits for it, whoever gets the redelivery; the other host goes on meanwhile.
func TestHostKilled(t *testing.T) {
	t.Parallel()
	l := newHosts(t, "a", "b")
	a, b := l.all[0], l.all[1]
	a.start()
	held := l.runs(4, "until [ -e /go ]; do sleep 0.1; done")
	l.awaitStarted(len(held))
	b.start()
	a.kill()
	l.awaitForwarded("a", len(held))
	others := l.runs(8, "")
	l.awaitResults(others...)
	if all := l.results(); len(all) != len(others) {
		t.Errorf("results: %+v", all)
	}
	a.start()
	for _, job := range held {
		a.touch(job, "/go")
	}
	jobs := append(held, others...)
	l.awaitResults(jobs...)
	l.once(jobs, event.Succeeded)
	l.removed(jobs)
}

// TestHostCut: the jobs of a host without a broker go on, and end once, on that host, although the other host gets their messages.
func TestHostCut(t *testing.T) {
	t.Parallel()
	l := newHosts(t, "a", "b")
	a, b := l.all[0], l.all[1]
	a.start()
	jobs := l.runs(4, "until [ -e /go ]; do sleep 0.1; done")
	l.awaitStarted(len(jobs))
	b.start()
	a.cut()
	l.awaitForwarded("a", len(jobs))
	for _, job := range jobs[:2] { // these end while the host has no broker
		a.touch(job, "/go")
	}
	a.awaitExits(2)
	a.heal()
	for _, job := range jobs[2:] {
		a.touch(job, "/go")
	}
	l.awaitResults(jobs...)
	l.once(jobs, event.Succeeded)
	l.removed(jobs)
}

// TestHostReleased: the jobs of a host that was released run on another one. When the host comes back, it leaves them alone, and
// says which containers of its former life it has.
func TestHostReleased(t *testing.T) {
	t.Parallel()
	l := newHosts(t, "a", "b")
	a, b := l.all[0], l.all[1]
	a.start()
	jobs := l.runs(4, "trap 'exit 0' TERM; sleep 1000 & wait")
	l.awaitStarted(len(jobs))
	b.start()
	if out, code := l.release("a", l.amqpURL); code == 0 {
		t.Errorf("a host that is alive was released: %s", out)
	}
	a.kill()
	l.awaitForwarded("a", len(jobs))
	if out, code := l.release("a", l.amqpURL); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	l.eventually("b runs the jobs", func() bool { return len(b.started()) == len(jobs) })
	a.start()
	a.awaitLog("docker rm")
	for _, job := range jobs {
		l.publish(publication{"stop-" + job, `{"Dockercmd": "stop", "Container": "` + job + `"}`})
	}
	l.awaitResults(jobs...)
	for job, results := range l.results() {
		if len(results) != 1 {
			t.Errorf("%s: %+v", job, results)
		}
	}
	for _, r := range resultsIn(t, a.out()) {
		if r.Command == "run" {
			t.Errorf("the released host reports %+v", r)
		}
	}
	for _, c := range a.containers() {
		if c.Status != "running" || c.Labels[identity.LabelJob] == "" {
			t.Errorf("a container of the released host: %+v", c)
		}
	}
	a.stop()
	a.start("--remove-stale")
	l.eventually("the stale containers are removed", func() bool { return len(a.containers()) == 0 })
	l.removed(jobs)
}

// TestHostReleasedInPieces: a release that is cut off at any point, and given again, loses and doubles nothing.
func TestHostReleasedInPieces(t *testing.T) {
	t.Parallel()
	l := newHosts(t, "a", "b")
	a, b := l.all[0], l.all[1]
	a.start("-c", "8")
	jobs := l.runs(8, "sleep 1000")
	l.awaitStarted(len(jobs))
	a.kill()
	b.start("-c", "8")
	l.awaitForwarded("a", len(jobs))
	for _, c := range a.containers() {
		if err := a.engine.RemoveContainer(t.Context(), c.ID, dockerapi.RemoveOptions{Force: true}); err != nil { // the host is lost
			t.Fatal(err)
		}
	}
	released := false
	for after := 100; !released; after = after * 5 / 4 {
		proxy, address := l.proxied(t)
		proxy.CutAfter(after, brokertest.ToServer)
		_, code := l.release("a", address)
		released = code == 0
	}
	l.eventually("b runs the jobs", func() bool { return len(b.started()) == len(jobs) })
	for _, job := range jobs {
		l.publish(publication{"stop-" + job, `{"Dockercmd": "stop", "Container": "` + job + `", "Options": {"Time": 0}}`})
	}
	l.awaitResults(jobs...)
	l.once(jobs, event.Stopped)
	l.removed(jobs)
}

// TestHostCutFromWaitingRuns: runs wait for their turn on a host when the broker takes its connections for dead, and the host cannot
// know. Another host gets their messages, runs them and is done with them. The first host does not run them a second time.
func TestHostCutFromWaitingRuns(t *testing.T) {
	t.Parallel()
	l := newHosts(t, "a", "b")
	a, b := l.all[0], l.all[1]
	a.start("-c", "1", "--ahead", "4")
	held := l.runs(1, "until [ -e /go ]; do sleep 0.1; done")
	l.awaitStarted(1)
	var waiting []string
	for i := range 4 {
		id := fmt.Sprintf("waiting-%s-%d", l.serial, i)
		waiting = append(waiting, id)
		l.publish(publication{id, runMessage("", "echo ran")})
	}
	l.eventually("a has all messages", func() bool { return l.broker.Ready(l.queue) == 0 })
	a.net.Stall(1)
	a.touch(held[0], "/go")
	a.awaitExits(1) // the first of those that wait is about to begin
	brokertest.CloseConnections(t, "docker-dispatch", l.queue)
	b.start()
	l.awaitResults(waiting...)
	l.eventually("b has forgotten the jobs", func() bool { return len(b.containers()) == 0 && len(l.claims()) == 2 })
	a.net.Stall(-1)
	l.awaitResults(held...)
	// What was not begun on a is settled there by now: a command that comes later is, too.
	l.publish(publication{"stop-" + l.serial, `{"Dockercmd": "stop", "Job": "` + held[0] + `"}`})
	l.awaitResults("stop-" + l.serial)
	for _, job := range waiting {
		if slices.Contains(a.started(), job) {
			t.Errorf("%s ran on b, then on a", job)
		}
	}
}
