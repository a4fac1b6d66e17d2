package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// neverRan is Docker where the start of an exec reaches it and fails, and the answer is lost.
type neverRan struct {
	*fakeDocker
	asked int
	says  string
}

func (n *neverRan) InspectExec(ctx context.Context, exec string) (dockerapi.Exec, error) {
	if n.asked == 0 {
		return dockerapi.Exec{}, nil
	}
	code := 127
	return dockerapi.Exec{ExitCode: &code, NeverRan: true}, nil
}

func (n *neverRan) StartExecDetached(ctx context.Context, exec string) error {
	if n.asked++; n.asked == 1 {
		return errCut
	}
	return fmt.Errorf("start exec: %w: exec command has already run", dockerapi.ErrConflict)
}

func (n *neverRan) StartExec(ctx context.Context, exec string, o dockerapi.AttachOptions) (func() error, error) {
	if n.asked++; n.asked == 1 && n.says == "" {
		return nil, errCut
	}
	says := n.says
	if says == "" {
		says = "Error response from daemon: Error: Exec command abc has already run"
	}
	return func() error { io.WriteString(o.Stdout, says+"\r\n"); return nil }, nil
}

// TestExecNeverRan: what is known of an exec that never ran is told, whatever was lost or not captured.
func TestExecNeverRan(t *testing.T) {
	trust := func(n **neverRan, says string, capture int) func(*Config) {
		return func(c *Config) {
			c.Policy, c.Capture = withPolicy(`{"Trust": true}`), capture
			*n = &neverRan{fakeDocker: c.Docker.(*fakeDocker), says: says}
			c.Docker = *n
		}
	}
	t.Run("detached, answer lost", func(t *testing.T) {
		var n *neverRan
		onBench(t, trust(&n, "", 1024), func(b *bench) {
			b.leave("web", "running", nil)
			b.send("m", "id", false, `{"Dockercmd":"exec","Container":"web","Cmd":["nosuch"],"Options":{"Detach":true}}`)
			time.Sleep(time.Minute)
			synctest.Wait()
			if r := b.result(); r.Status == event.Succeeded {
				t.Errorf("never ran, and %+v", r)
			}
		})
	})
	for name, says := range map[string]string{
		"answer lost":      "",
		"nothing captured": `OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown`,
	} {
		t.Run(name, func(t *testing.T) {
			capture := 1024
			if name == "nothing captured" {
				capture = 0
			}
			var n *neverRan
			onBench(t, trust(&n, says, capture), func(b *bench) {
				b.leave("web", "running", nil)
				b.send("m", "id", false, `{"Dockercmd":"exec","Container":"web","Cmd":["nosuch"]}`)
				time.Sleep(time.Minute)
				synctest.Wait()
				r := b.result()
				if r.Reason != event.ReasonCommandNotFound {
					t.Errorf("exit 127, never ran, and reason %s: %s; engine %q", r.Reason, r.Error, r.EngineError)
				}
			})
		})
	}
}

// forgetful forgets the execs of a container that is removed, as Docker does: no such exec.
type forgetful struct{ *fakeDocker }

func (f forgetful) InspectExec(ctx context.Context, exec string) (dockerapi.Exec, error) {
	e, err := f.fakeDocker.InspectExec(ctx, exec)
	if errors.Is(err, dockerapi.ErrNoSuchContainer) {
		err = dockerapi.ErrNoSuchExec
	}
	return e, err
}

// TestExecInRemoved: the end of a container that a message removes is that of the execs in it.
func TestExecInRemoved(t *testing.T) {
	onBench(t, func(c *Config) {
		c.Policy = withPolicy(`{"Trust": true}`)
		c.Docker = forgetful{c.Docker.(*fakeDocker)}
	}, func(b *bench) {
		run := b.send("run", "run", false, `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep"],"Options":{"Name":"web","Attach":["STDOUT"]}}`)
		exec := b.send("exec", "exec", false, `{"Dockercmd":"exec","Container":"web","Cmd":["sleep"]}`)
		b.send("rm", "", false, `{"Dockercmd":"remove","Container":"web","Options":{"Force":true}}`).want(intake.Ack, "")
		time.Sleep(time.Minute)
		synctest.Wait()
		run.want(intake.Ack, "")
		exec.want(intake.Ack, "")
	})
}

// An exec whose container a message restarts has ended because a message asked for it.
func TestExecInRestarted(t *testing.T) {
	onBench(t, func(c *Config) { c.Policy = withPolicy(`{"Trust": true}`) }, func(b *bench) {
		c := b.leave("web", "running", nil)
		c.config.Cmd = []string{"idle"}
		exec := b.send("exec", "exec", false, `{"Dockercmd":"exec","Container":"web","Cmd":["sleep"]}`)
		b.send("restart", "", false, `{"Dockercmd":"restart","Container":"web"}`).want(intake.Ack, "")
		c.endExec(137)
		time.Sleep(time.Minute)
		synctest.Wait()
		exec.want(intake.Ack, "")
	})
}
