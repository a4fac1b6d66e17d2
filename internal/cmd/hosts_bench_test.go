package cmd

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// onHosts runs a test inside a bubble, with three hosts that share a queue: a, b and c.
func onHosts(t *testing.T, change func(*fakeCluster), test func(c *fakeCluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := newFakeCluster(t, "a", "b", "c")
		if change != nil {
			change(c)
		}
		for _, name := range []string{"a", "b", "c"} {
			c.hosts[name].start()
		}
		synctest.Wait()
		test(c)
		for _, h := range c.hosts {
			h.end()
		}
	})
}

// pass waits for a while, and then until all is quiet.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// to lets only that host take messages of the shared queue.
func (c *fakeCluster) to(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.hosts {
		h.only = h.name != name
	}
	c.dispatch()
}

// send publishes a message that only that host takes from the shared queue, and waits until all is quiet.
func (c *fakeCluster) send(host, id, body string) {
	c.to(host)
	c.publish("q", &fakeMessage{id: id, body: body})
	synctest.Wait()
}

// result returns the last result of a job.
func (c *fakeCluster) result(id string) (r event.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if all := c.results[id]; len(all) > 0 {
		r = all[len(all)-1]
	}
	return r
}

// want checks the last result of a job.
func (c *fakeCluster) want(id string, status event.Status, reason string) {
	c.t.Helper()
	if r := c.result(id); r.Status != status || r.Reason != reason {
		c.t.Errorf("%s: %s %s %q, want %s %s", id, r.Status, r.Reason, r.Error, status, reason)
	}
}

// started checks which hosts have started a job.
func (c *fakeCluster) started(id string, hosts ...string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := c.starts[id+"/1"]; !slices.Equal(got, hosts) {
		c.t.Errorf("%s: started on %q, want %q", id, got, hosts)
	}
}

// settled checks that nothing is left after a while: no message, no container, no claim. kept are the names of containers that
// stay.
func (c *fakeCluster) settled(kept ...string) {
	c.t.Helper()
	pass(4 * time.Hour)
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, h := range c.hosts {
		for _, f := range h.docker.all() {
			names = append(names, f.Name)
		}
		if s := h.session; s != nil && len(s.unacked) > 0 {
			c.t.Errorf("host %s has %d messages that are not acked", h.name, len(s.unacked))
		}
	}
	if slices.Sort(names); !slices.Equal(names, kept) {
		c.t.Errorf("containers %q are left, want %q", names, kept)
	}
	for queue, left := range c.queues {
		if len(left) > 0 {
			c.t.Errorf("%d messages are left in %s", len(left), queue)
		}
	}
	if len(kept) == 0 && len(c.claims) > 0 {
		c.t.Errorf("claims are left: %v", c.claims)
	}
}

// jobClaim returns the life of the host that has a job; "": none.
func (c *fakeCluster) jobClaim(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.claims[intake.JobKey("", "q", id)]
}

// exit ends the program of a job, wherever it runs.
func (c *fakeCluster) exit(id string, code int) {
	c.t.Helper()
	for _, h := range c.hosts {
		for _, f := range h.docker.all() {
			if f.Labels[identity.LabelJob] == id && f.runs() {
				f.exit(code)
				return
			}
		}
	}
	c.t.Errorf("%s runs nowhere", id)
}

// once returns a func for reached that calls do the first time that a message comes to a step.
func once(step, id string, do func(h *fakeHost)) func(string, *fakeHost, string) {
	var done atomic.Bool
	return func(s string, h *fakeHost, of string) {
		if s == step && (of == id || id == "") && !done.Swap(true) {
			do(h)
		}
	}
}

const waiter = `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Attach":["STDOUT"],"Remove":true}}`
