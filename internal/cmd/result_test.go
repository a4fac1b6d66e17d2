package cmd

import (
	"fmt"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestEngineError: a result has the engine's own words, as the docker CLI shows them.
func TestEngineError(t *testing.T) {
	for _, tt := range []struct {
		err  dockerapi.Error
		want string
	}{
		{dockerapi.Error{Op: "create container", Status: 400, Message: "Bad."}, "Error response from daemon: Bad."},
		{dockerapi.Error{Op: "pull image", Status: 200, Message: "unexpected EOF"}, "unexpected EOF"},
		{dockerapi.Error{Op: "create container", Message: "refused here"}, ""},
	} {
		var r event.Result
		setError(&r, fmt.Errorf("%w (more)", &tt.err))
		if r.EngineError != tt.want || r.Error != tt.err.Error()+" (more)" {
			t.Errorf("%+v: %q, %q", tt.err, r.EngineError, r.Error)
		}
	}
}

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
