package cmd

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// silentWait is an engine whose waits are taken and never answered. stops: nor are its stops, in time.
type silentWait struct {
	*fakeDocker
	stops bool
}

func (s silentWait) WaitContainer(ctx context.Context, id string, cond dockerapi.Condition) (func() (dockerapi.ExitStatus, error), error) {
	_, err := s.fakeDocker.WaitContainer(ctx, id, cond)
	return func() (dockerapi.ExitStatus, error) {
		<-ctx.Done()
		return dockerapi.ExitStatus{}, ctx.Err()
	}, err
}

func (s silentWait) StopContainer(ctx context.Context, id string, o dockerapi.StopOptions) error {
	err := s.fakeDocker.StopContainer(ctx, id, o)
	if s.stops && err == nil {
		time.Sleep(40 * time.Second)
		return errCut
	}
	return err
}

// TestWaitNotAnswered: a container whose wait is never answered has a result all the same.
func TestWaitNotAnswered(t *testing.T) {
	unattached := strings.Replace(wait, `"Attach":["STDOUT","STDERR"],`, "", 1)
	for _, tt := range []struct {
		name, body, timeout string
		stops, gone         bool
		reason              string
		within              time.Duration
	}{
		{"no output", unattached, "", false, false, event.ReasonExit, lookEvery + time.Minute},
		{"with output", wait, "", false, false, event.ReasonExit, time.Minute},
		{"removed by somebody", unattached, "", false, true, event.ReasonNoSuchContainer, lookEvery + time.Minute},
		{"ended before its time is up", unattached, `"Timeout":"20s",`, false, false, event.ReasonExit, time.Minute},
		{"time is up", unattached, `"Timeout":"20s",`, false, false, event.ReasonTimeout, time.Minute},
		{"time is up, with output", wait, `"Timeout":"20s",`, false, false, event.ReasonTimeout, time.Minute},
		{"the stop is not answered either", unattached, `"Timeout":"20s",`, true, false, event.ReasonTimeout, 2 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBench(t, func(c *Config) { c.Docker = silentWait{c.Docker.(*fakeDocker), tt.stops} }, func(b *bench) {
				d := b.send("m", "id", false, strings.Replace(tt.body, `"Remove"`, tt.timeout+`"Remove"`, 1))
				c := b.docker.named(t, "web")
				if tt.reason != event.ReasonTimeout {
					time.Sleep(3 * time.Second)
					c.write("stdout", "hi\n")
					c.exit(3)
				}
				if tt.gone {
					b.docker.mu.Lock()
					clear(b.docker.byID)
					b.docker.mu.Unlock()
				}
				time.Sleep(tt.within)
				synctest.Wait()
				if len(d.verdicts) != 1 || d.reason != tt.reason {
					t.Errorf("settled %v, reason %q, want %q; calls %q", d.verdicts, d.reason, tt.reason, b.docker.did())
					return
				}
				if stops := strings.Count(strings.Join(b.docker.did(), ","), "stop "); stops > 1 {
					t.Errorf("stopped %d times", stops)
				}
				if r := b.result(); r.Incomplete || tt.body == wait && tt.timeout == "" && r.Stdout != "hi\n" {
					t.Errorf("result %+v", r)
				}
			})
		})
	}
}

// endlessOutput is an engine whose attach goes on after the container has ended.
type endlessOutput struct{ *fakeDocker }

func (e endlessOutput) AttachContainer(ctx context.Context, id string, o dockerapi.AttachOptions) (func() error, error) {
	join, err := e.fakeDocker.AttachContainer(ctx, id, o)
	return func() error {
		if err := join(); err != nil {
			return err
		}
		for {
			io.WriteString(o.Stdout, "more\n")
			if err := delay.Sleep(ctx, time.Second); err != nil {
				return err
			}
		}
	}, err
}

// TestEndlessOutput: output that does not end after the exit does not keep the result back.
func TestEndlessOutput(t *testing.T) {
	for _, unreadable := range []bool{false, true} {
		onBench(t, func(c *Config) { c.Docker = endlessOutput{c.Docker.(*fakeDocker)} }, func(b *bench) {
			b.docker.unreadable = unreadable
			d := b.send("m", "id", false, echo)
			time.Sleep(mostAfterExit)
			d.unsettled()
			time.Sleep(20 * time.Second)
			synctest.Wait()
			d.want(intake.Ack, "")
			if r := b.result(); !r.Incomplete || !strings.HasPrefix(r.Stdout, "hi\nmore\n") || *r.ExitCode != 0 {
				t.Errorf("log unreadable: %v: result %+v", unreadable, r)
			}
		})
	}
}

// TestStopNotAnswered: a stop whose answer never comes is made once, and succeeds.
func TestStopNotAnswered(t *testing.T) {
	onBench(t, func(c *Config) { c.Docker = silentWait{c.Docker.(*fakeDocker), true} }, func(b *bench) {
		b.leave("web", "running", nil)
		d := b.send("m", "id", false, `{"Dockercmd":"stop","Container":"web"}`)
		time.Sleep(time.Minute)
		synctest.Wait()
		d.want(intake.Ack, "")
		if stops := strings.Count(strings.Join(b.docker.did(), ","), "stop "); stops != 1 {
			t.Errorf("stopped %d times", stops)
		}
	})
}
