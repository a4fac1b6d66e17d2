package cmd

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// restarts is an engine whose restart takes a while: the program has ended, and does not run again yet.
type restarts struct {
	*fakeDocker
	code  int // of the program, when it is stopped
	takes time.Duration
}

func (s restarts) RestartContainer(ctx context.Context, id string, o dockerapi.StopOptions) error {
	s.mu.Lock()
	c, err := s.find(id)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	c.end(s.code)
	s.mu.Unlock()
	time.Sleep(s.takes)
	return s.fakeDocker.RestartContainer(ctx, id, o)
}

// TestRestartOfARun restarts the container of a job. The job goes on until its container ends by itself.
func TestRestartOfARun(t *testing.T) {
	const run = `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web",`
	for name, body := range map[string]string{
		"foreground":           run + `"Attach":["STDOUT"],"Remove":true}}`,
		"foreground, unread":   run + `"Attach":[],"Remove":true}}`,
		"tried again":          run + `"Attach":["STDOUT"],"Remove":true,"Retry":{"Max":2}}}`,
		"detached and removed": run + `"Detach":true,"Remove":true}}`,
	} {
		for _, by := range []string{`"Container":"web"`, `"Job":"id"`} {
			t.Run(name+" by "+by, func(t *testing.T) {
				onEngine(t, withExits, nil, func(b *bench) {
					b.engine(restarts{b.docker, 137, time.Minute})
					d := b.send("m", "id", false, body)
					r := b.command(`{"Dockercmd":"restart",` + by + `}`)
					time.Sleep(time.Hour)
					synctest.Wait()
					r.want(intake.Ack, "")
					if n := b.docker.count(); n != 1 {
						t.Fatalf("%d containers an hour after the restart, want 1", n)
					}
					if name != "detached and removed" && len(d.verdicts) > 0 {
						t.Fatalf("%v %q while the program runs", d.verdicts, d.reason)
					}
					b.docker.named(t, "web").exit(0)
					synctest.Wait()
					time.Sleep(time.Minute)
					synctest.Wait()
					d.want(intake.Ack, "")
					if n := b.docker.count(); n != 0 {
						t.Errorf("%d containers left", n)
					}
				})
			})
		}
	}
}

// TestStopAfterRestart stops a run that was restarted: its end was asked for, so it is not tried again.
func TestStopAfterRestart(t *testing.T) {
	onEngine(t, withExits, nil, func(b *bench) {
		b.engine(restarts{b.docker, 143, time.Minute})
		d := b.send("m", "id", false, retried)
		r := b.command(`{"Dockercmd":"restart","Job":"id"}`)
		time.Sleep(time.Hour)
		synctest.Wait()
		r.want(intake.Ack, "")
		b.command(`{"Dockercmd":"stop","Job":"id"}`).want(intake.Ack, "")
		d.want(intake.Ack, "")
		if r := b.record.results[len(b.record.results)-1]; len(d.agains) > 0 || r.Status != event.Stopped {
			t.Errorf("%+v, next attempts %q; want it stopped, without one", r, d.agains)
		}
	})
}

// TestRestartFails has the program not start again.
func TestRestartFails(t *testing.T) {
	onEngine(t, withExits, nil, func(b *bench) {
		b.engine(restarts{b.docker, 5, time.Minute})
		b.docker.before["restart"] = []error{dockerapi.ErrInvalid}
		d := b.send("m", "id", false, retried)
		b.command(`{"Dockercmd":"restart","Job":"id"}`)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(d.agains) != 1 {
			t.Errorf("next attempts %q, want one: the program has ended with code 5", d.agains)
		}
	})
}

// TestStopAfterManyRestarts: a run that was restarted often is followed at once again, so a stop of it is known as such.
func TestStopAfterManyRestarts(t *testing.T) {
	for _, n := range []int{1, 8, 20} {
		onEngine(t, withExits, nil, func(b *bench) {
			b.engine(restarts{b.docker, 143, 300 * time.Millisecond})
			d := b.send("m", "id", false, retried)
			for range n {
				time.Sleep(time.Hour)
				r := b.command(`{"Dockercmd":"restart","Container":"web"}`)
				time.Sleep(time.Second)
				synctest.Wait()
				r.want(intake.Ack, "")
			}
			b.command(`{"Dockercmd":"stop","Container":"web"}`).want(intake.Ack, "")
			time.Sleep(time.Minute)
			synctest.Wait()
			d.want(intake.Ack, "")
			if r := b.record.results[len(b.record.results)-1]; len(d.agains) > 0 || r.Status != event.Stopped {
				t.Errorf("after %d restarts: %+v, next attempts %q; want it stopped, without one", n, r, d.agains)
			}
		})
	}
}

// TestLateRestart: a restart that comes while the run's result is worked out finds no container, as the run is about to remove it.
func TestLateRestart(t *testing.T) {
	onEngine(t, withExits, nil, func(b *bench) {
		b.engine(slowEvents{b.docker})
		d := b.send("m", "id", false, `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Attach":["STDOUT"],"Remove":true}}`)
		b.docker.named(t, "web").exit(137)
		time.Sleep(time.Second)
		b.command(`{"Dockercmd":"restart","Container":"web"}`).want(intake.Ack, "no-such-container")
		b.command(`{"Dockercmd":"start","Container":"web"}`).want(intake.Ack, "no-such-container")
		time.Sleep(time.Minute)
		synctest.Wait()
		d.want(intake.Ack, "exit")
		if n := b.docker.count(); n != 0 {
			t.Errorf("%d containers left", n)
		}
	})
}

// slowEvents is an engine that takes long to tell its past events.
type slowEvents struct{ *fakeDocker }

func (s slowEvents) RemembersKill(ctx context.Context, c dockerapi.Container, signal int) (bool, error) {
	time.Sleep(10 * time.Second)
	return s.fakeDocker.RemembersKill(ctx, c, signal)
}
