package cmd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestSameID: two messages of one message_id and of different bodies are two jobs. The second one waits where the first one is, and is
// redelivered there. It runs after the first one was settled, also as a dead letter.
func TestSameID(t *testing.T) {
	quick := strings.Replace(waiter, "wait", "quick", 1)
	for status, refused := range map[event.Status][]error{event.Succeeded: nil, event.Errored: {dockerapi.ErrNoSuchImage}} {
		t.Run(string(status), func(t *testing.T) {
			onHosts(t, nil, func(c *fakeCluster) {
				b := c.hosts["b"]
				b.docker.holdPull, b.docker.before["pull"], b.prefetch = make(chan struct{}), refused, 8
				c.send("b", "j", strings.Replace(quick, `"Remove"`, `"Pull":"always","Remove"`, 1))
				for i := range 4 {
					c.send("b", fmt.Sprint("long", i), waiter)
				}
				c.to("a")
				c.publish("q", &fakeMessage{id: "j", body: quick})
				pass(time.Second)
				c.to("b")
				b.cut()
				b.connect(b.fakeProcess)
				pass(time.Second)
				close(b.docker.holdPull)
				pass(time.Minute)
				if r := c.result("j"); r.Status != status {
					t.Errorf("the first one: %s %s %q", r.Status, r.Reason, r.Error)
				}
				for i := range 4 {
					c.exit(fmt.Sprint("long", i), 0)
				}
				c.settled()
				c.want("j", event.Succeeded, "")
				if n := len(c.results["j"]); n != 2 {
					t.Errorf("%d results, want 2", n)
				}
			})
		})
	}
}
