package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestLostWithControlQueue: the connection to the control queue is away for longer than that to the queue, and a command of it has ended.
// Its message comes back, and is not carried out a second time, and its result is stored.
func TestLostWithControlQueue(t *testing.T) {
	for _, id := range []string{"x", ""} {
		t.Run(fmt.Sprintf("message_id %q", id), func(t *testing.T) {
			records := 0
			onBench(t, func(c *Config) {
				c.Quiet = func(context.Context, time.Duration) (intake.Place, bool) { return intake.Place{}, true }
			}, func(b *bench) {
				b.send("run", "run", false, wait)
				b.change = func(j *intake.Job) {
					j.Control = true
					j.Awaited = func() (time.Time, bool) { return time.Time{}, false }
					j.Record = func(context.Context, event.Result) error { records++; return nil }
				}
				b.released = true
				const exec = `{"Dockercmd":"exec","Container":"web","Cmd":["sh"]}`
				b.send("exec", id, false, exec).lose()
				b.endExecs(b.docker.named(t, "web"))
				time.Sleep(10 * time.Second)
				b.send("exec again", id, true, exec).want(intake.Ack, "")
				if begun := slices.DeleteFunc(b.docker.did(), func(call string) bool { return !strings.HasPrefix(call, "create exec") }); len(begun) != 1 || records == 0 {
					t.Errorf("the exec was begun %d times, and its result was stored %d times; want 1, and at least 1", len(begun), records)
				}
				b.docker.named(t, "web").exit(0)
			})
		})
	}
}
