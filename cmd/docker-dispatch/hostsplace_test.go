package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// placed publishes runs whose containers stay, each with one of the options, and returns the jobs' ids.
func (l *hosts) placed(options ...string) (jobs []string) {
	l.t.Helper()
	for _, o := range options {
		id := fmt.Sprintf("p-%s-%d", l.serial, rand.Uint32())
		l.know(id)
		jobs = append(jobs, id)
		l.publish(publication{id, fmt.Sprintf(`{"Dockercmd":"run","Image":"busybox","Cmd":["echo","ran"],"Options":{"Attach":"STDOUT","Name":%q,"Network":%q,%s}}`, id, quickNetwork, o)})
	}
	return jobs
}

// TestHostsPlaced: messages that say which hosts may run them are run there, whichever daemon takes them. One that no living host
// may run waits for one, visibly, over a crash of every daemon that has put it back, and is run once.
func TestHostsPlaced(t *testing.T) {
	t.Parallel()
	l := newHosts(t, "a", "b", "c")
	defer l.deleteQueues(".retry.10")
	a, b, c := l.all[0], l.all[1], l.all[2]
	a.start("--host-label", "zone=eu", "--host-label", "gpu=no")
	b.start("--host-label", "zone=us,gpu=yes")

	options := []string{`"Constraint":"disk==ssd"`, `"Constraint":["disk==ssd","zone!=us"]`, `"Host":"a"`, `"Host":"b"`, `"Host":"a","Constraint":"gpu==no"`,
		`"Constraint":"gpu==yes"`, `"Constraint":"zone!=eu"`, `"Constraint":["zone==eu","gpu!=yes"]`}
	want := []string{"c", "c", "a", "b", "a", "b", "b", "a"}
	jobs := l.placed(options[:2]...)
	for _, h := range []*member{a, b, a, b} {
		l.statuses("host "+h.name+" shows a job that waits for a host", func(all []status.Status) bool {
			return slices.ContainsFunc(all, func(s status.Status) bool {
				return s.Host == h.name && slices.ContainsFunc(s.Waiting.Jobs, func(j status.Job) bool { return strings.HasPrefix(j.For, "a host with disk==ssd") })
			})
		})
		h.kill()
		h.start("--host-label", map[string]string{"a": "zone=eu,gpu=no", "b": "zone=us,gpu=yes"}[h.name])
	}
	l.eventually("ps lists a job that waits for a host", func() bool {
		return strings.Contains(l.succeeds("", "ps", "-q", l.queue), "a host with disk==ssd")
	})
	// On a busy machine the labels of a host can be read late: then these wait too.
	jobs = append(jobs, l.placed(options[2:]...)...)
	l.awaitResults(jobs[2:]...)
	c.start("--host-label", "disk=ssd")
	l.awaitResults(jobs...)
	l.once(jobs, event.Succeeded)
	for i, job := range jobs {
		for _, h := range l.all {
			for _, had := range h.containers() {
				if had.Labels["docker-dispatch.job"] == job && h.name != want[i] {
					t.Errorf("%s: run on host %s, want %s", options[i], h.name, want[i])
				}
			}
		}
	}
	nowhere := "nowhere-" + l.serial
	l.publish(publication{nowhere, `{"Dockercmd":"create","Image":"busybox","Options":{"Host":"nowhere"}}`})
	l.awaitResults(nowhere)
	if r := l.results()[nowhere]; len(r) != 1 || r[0].Status != event.Errored || r[0].Reason != event.ReasonNoSuchHost {
		t.Errorf("%+v", r)
	}
	if d := l.broker.ExpectAny(l.queue+".dead", 1); d[0].MessageId != nowhere {
		t.Errorf("the dead letter is %q", d[0].MessageId)
	}
	l.removed(jobs)
}
