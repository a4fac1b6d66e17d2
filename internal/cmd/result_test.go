package cmd

import (
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestExitCodeNotKnown: a job whose exit code nobody knows is no success, and has none.
func TestExitCodeNotKnown(t *testing.T) {
	for name, end := range map[string]func(b *bench) *delivery{
		"run": func(b *bench) *delivery {
			c := b.leave("web", "exited", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(echo)}).Labels(true))
			c.State.ExitCode = nil
			return b.send("m", "id", true, echo)
		},
		"exec": func(b *bench) *delivery {
			b.leave("web", "running", identity.Of(intake.Job{Queue: "q", MessageID: "other"}).Labels(false))
			d := b.send("m", "id", false, `{"Dockercmd":"exec","Container":"web","Cmd":["x"]}`)
			c := b.docker.named(b.t, "web")
			b.docker.mu.Lock()
			c.exec.running = false
			b.docker.touch()
			b.docker.mu.Unlock()
			return d
		},
		"wait": func(b *bench) *delivery {
			b.leave("web", "exited", nil).State.ExitCode = nil
			return b.send("m", "id", false, `{"Dockercmd":"wait","Container":"web"}`)
		},
		"wait for a container that was never started": func(b *bench) *delivery {
			b.leave("web", "created", nil)
			return b.send("m", "id", false, `{"Dockercmd":"wait","Container":"web"}`)
		},
	} {
		onBench(t, nil, func(b *bench) {
			d := end(b)
			time.Sleep(time.Minute)
			r := b.result()
			if d.want(intake.DeadLetter, r.Reason); r.Status != event.Errored || r.ExitCode != nil {
				t.Errorf("%s: result %+v", name, r)
			}
		})
	}
}
