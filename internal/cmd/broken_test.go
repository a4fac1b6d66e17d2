package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// brokenCalls are commands, and the call of each that the tests break.
var brokenCalls = []struct{ call, body string }{
	{"pull", `{"Dockercmd":"pull","Image":"x"}`},
	{"stop", `{"Dockercmd":"stop","Container":"web"}`},
	{"remove", `{"Dockercmd":"rm","Container":"web","Options":{"Force":true}}`},
	{"logs", `{"Dockercmd":"logs","Container":"web"}`},
	{"start exec", `{"Dockercmd":"exec","Container":"web","Cmd":["a"],"Options":{"Detach":true}}`},
	{"inspect", `{"Dockercmd":"pause","Container":"web"}`},
}

// errHTML is what dockerapi makes of an answer that no engine gives.
var errHTML = fmt.Errorf("%w: its answer is not JSON: <html>", dockerapi.ErrUnreachable)

// TestBrokenAnswers: an answer that breaks off each time although the engine is there is not asked for for ever, and
// holds nobody else up.
func TestBrokenAnswers(t *testing.T) {
	for _, tt := range brokenCalls {
		for _, cut := range []error{errCut, errHTML} {
			t.Run(tt.call, func(t *testing.T) {
				onBench(t, nil, func(b *bench) {
					web := b.send("web", "web", false, wait)
					b.docker.mu.Lock()
					b.docker.before[tt.call] = slices.Repeat([]error{cut}, 1000)
					b.docker.mu.Unlock()
					d := b.send("m", "id", false, tt.body)
					if open, _ := b.gate.State(); !open {
						t.Error("intake is paused")
					}
					d.unsettled()
					if tt.call != "inspect" { // which every job needs
						other := b.send("other", "other", false, `{"Dockercmd":"create","Image":"busybox","Options":{"Name":"other"}}`)
						other.want(intake.Ack, "")
					}
					time.Sleep(lookEvery - time.Second) // the run of web makes no call meanwhile
					synctest.Wait()
					d.want(intake.DeadLetter, event.ReasonEngine)
					if r := b.result(); !strings.Contains(r.Error, cut.Error()) || !strings.Contains(r.Error, "the engine's log, then send the message again") {
						t.Errorf("the error does not tell the reason, and what to do: %s", r.Error)
					}
					b.docker.mu.Lock()
					if n := 1000 - len(b.docker.before[tt.call]); n != maxRetries+1 {
						t.Errorf("tried %d times", n)
					}
					b.docker.before[tt.call] = nil
					b.docker.mu.Unlock()
					if open, _ := b.gate.State(); !open {
						t.Error("intake is paused in the end")
					}
					web.unsettled()
					b.docker.named(t, "web").exit(0)
					time.Sleep(time.Minute)
					web.want(intake.Ack, "")
				})
			})
		}
	}
}

// TestBrokenAnswersEngineAway: where the ping fails too, the engine is lost, and waited for.
func TestBrokenAnswersEngineAway(t *testing.T) {
	for _, tt := range brokenCalls {
		t.Run(tt.call, func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				b.send("web", "web", false, wait)
				b.docker.mu.Lock()
				b.docker.before[tt.call] = []error{errCut}
				b.docker.before["ping"] = slices.Repeat([]error{errDial}, 20)
				b.docker.mu.Unlock()
				d := b.send("m", "id", false, tt.body)
				if open, _ := b.gate.State(); open {
					t.Error("intake goes on")
				}
				d.unsettled()
				time.Sleep(time.Hour)
				synctest.Wait()
				d.want(intake.Ack, "")
				if tt.call != "stop" && tt.call != "remove" {
					b.docker.named(t, "web").exit(0)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestCallKillsEngine: a call that the engine dies of each time is not made for ever.
func TestCallKillsEngine(t *testing.T) {
	for _, tt := range brokenCalls {
		t.Run(tt.call, func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				web := b.send("web", "web", false, wait)
				b.docker.mu.Lock()
				b.docker.before[tt.call] = slices.Repeat([]error{errCut}, 1000)
				b.docker.before["ping"] = slices.Repeat([]error{errDial, nil}, maxRetries+1) // it is away, and back
				b.docker.mu.Unlock()
				d := b.send("m", "id", false, tt.body)
				time.Sleep(lookEvery - time.Second) // the run of web makes no call meanwhile
				synctest.Wait()
				d.want(intake.DeadLetter, event.ReasonEngine)
				b.docker.mu.Lock()
				if n := 1000 - len(b.docker.before[tt.call]); n != maxRetries+1 {
					t.Errorf("made %d times", n)
				}
				b.docker.before[tt.call] = nil
				b.docker.mu.Unlock()
				b.docker.named(t, "web").exit(0)
				time.Sleep(time.Minute)
				web.want(intake.Ack, "")
			})
		})
	}
}

// TestCallOfRunKillsEngine: nor is a call that follows a container which runs. What the container does is unknown.
func TestCallOfRunKillsEngine(t *testing.T) {
	for _, call := range []string{"logs", "inspect", "wait"} {
		t.Run(call, func(t *testing.T) {
			onEngine(t, withoutExits, nil, func(b *bench) {
				d := b.send("m", "id", false, wait)
				b.docker.mu.Lock()
				b.docker.before[call] = slices.Repeat([]error{errCut}, 1000)
				b.docker.before["ping"] = slices.Repeat([]error{errDial, nil}, 1000) // it is away, and back
				b.docker.deaths++                                                    // cuts what is open
				b.docker.touch()
				b.docker.mu.Unlock()
				time.Sleep(time.Hour)
				synctest.Wait()
				d.want(intake.DeadLetter, event.ReasonEngine)
				b.docker.mu.Lock()
				if n := 1000 - len(b.docker.before[call]); n > maxRetries+1 {
					t.Errorf("made %d times", n)
				}
				b.docker.before[call], b.docker.before["ping"] = nil, nil
				b.docker.mu.Unlock()
				if r := b.result(); !strings.Contains(r.Error, "may still be running") || b.docker.count() != 1 {
					t.Errorf("result %+v, %d containers", r, b.docker.count())
				}
			})
		})
	}
}

// TestConnectionsCut: a run goes on behind a proxy that closes each connection after a while. Connections that break at
// once are the engine's fault.
func TestConnectionsCut(t *testing.T) {
	for _, body := range []string{wait, strings.Replace(wait, `"Attach":["STDOUT","STDERR"],`, "", 1)} {
		for _, tt := range []struct {
			every   time.Duration
			givenUp bool
		}{{10 * time.Second, false}, {3 * time.Second, false}, {10 * time.Millisecond, true}} {
			onBench(t, nil, func(b *bench) {
				b.pool.carrier.RetryFirst = time.Millisecond // the waits last as long as every
				d := b.send("m", "id", false, body)
				c := b.docker.named(t, "web")
				for range 100 {
					time.Sleep(tt.every)
					b.docker.mu.Lock()
					b.docker.deaths++
					c.born = b.docker.deaths // the engine lives
					b.docker.touch()
					b.docker.mu.Unlock()
				}
				time.Sleep(10 * time.Second)
				if tt.givenUp {
					d.want(intake.DeadLetter, event.ReasonEngine)
					return
				}
				d.unsettled()
				c.exit(0)
				time.Sleep(time.Minute)
				d.want(intake.Ack, "")
			})
		}
	}
}

// TestBrokenWait: a container that runs is not asked for for ever either, and is left as it is.
func TestBrokenWait(t *testing.T) {
	for _, broken := range []error{errCut, errHTML, dockerapi.ErrTemporary, dockerapi.ErrConflict} {
		onEngine(t, withoutExits, nil, func(b *bench) {
			d := b.send("m", "id", false, wait)
			b.docker.mu.Lock()
			b.docker.before["wait"] = slices.Repeat([]error{broken}, 1000)
			b.docker.deaths++ // cuts what is open
			b.docker.touch()
			b.docker.mu.Unlock()
			time.Sleep(time.Hour)
			synctest.Wait()
			d.want(intake.DeadLetter, event.ReasonEngine)
			if r := b.result(); !strings.Contains(r.Error, "may still be running") || b.docker.count() != 1 {
				t.Errorf("%v: result %+v, %d containers", broken, r, b.docker.count())
			}
			b.docker.mu.Lock()
			b.docker.before["wait"] = nil
			b.docker.mu.Unlock()
		})
	}
}

// TestDetachedIsRemoved: a detached container is removed after its end, however often the engine was lost in the course of
// its life. If the wait for it is given up, the log says so.
func TestDetachedIsRemoved(t *testing.T) {
	const body = `{"Dockercmd":"run","Image":"busybox","Options":{"Name":"web","Detach":true,"Remove":true}}`
	for _, broken := range []bool{false, true} {
		var log strings.Builder
		onEngine(t, withExits, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }, func(b *bench) {
			b.send("m", "id", false, body).want(intake.Ack, "")
			if broken {
				b.docker.mu.Lock()
				b.docker.before["wait"] = slices.Repeat([]error{errCut}, 100)
				b.docker.mu.Unlock()
			}
			for range 2 * maxRetries {
				b.docker.die()
				time.Sleep(time.Minute)
				b.docker.revive()
				time.Sleep(time.Hour)
			}
			b.docker.named(t, "web").exit(0)
			time.Sleep(time.Minute)
			synctest.Wait()
			warned := strings.Count(log.String(), "container not removed, because its end cannot be waited for")
			if (b.docker.count() == 1) != broken || (warned == 1) != broken || broken && !strings.Contains(log.String(), "container=web") {
				t.Errorf("broken: %v: %d containers left, log\n%s", broken, b.docker.count(), &log)
			}
		})
	}
}

// TestPullReasons: only an image that is not to be had is no such image.
func TestPullReasons(t *testing.T) {
	for _, tt := range []struct {
		err    error
		reason string
		tries  int
		least  time.Duration
	}{
		{dockerapi.ErrTooManyRequests, event.ReasonEngine, maxRetries + 1, 5 * time.Minute / 2},
		{dockerapi.ErrTemporary, event.ReasonEngine, maxRetries + 1, 0},
		{errors.New("write /layer: no space left on device"), event.ReasonEngine, 1, 0},
		{dockerapi.ErrNoSuchImage, event.ReasonNoSuchImage, 1, 0},
		{dockerapi.ErrUnauthorized, event.ReasonNoSuchImage, 1, 0},
	} {
		t.Run(tt.err.Error(), func(t *testing.T) {
			p := &pullTimes{}
			onEngine(t, withExits, func(c *Config) { p.Docker = c.Docker; c.Docker = p }, func(b *bench) {
				b.docker.before["pull"] = slices.Repeat([]error{tt.err}, 100)
				d := b.send("m", "id", false, `{"Dockercmd":"pull","Image":"x"}`)
				time.Sleep(time.Hour)
				synctest.Wait()
				d.want(intake.DeadLetter, tt.reason)
				if len(p.at) != tt.tries {
					t.Fatalf("%d pulls, want %d", len(p.at), tt.tries)
				}
				if took := p.at[len(p.at)-1].Sub(p.at[0]); took < tt.least {
					t.Errorf("given up after %v", took)
				}
				if tt.least > 0 && p.at[1].Sub(p.at[0]) < 10*time.Second {
					t.Errorf("asked again after %v", p.at[1].Sub(p.at[0]))
				}
			})
		})
	}
}

// pullTimes is an engine that notes when it was told to pull.
type pullTimes struct {
	container.Docker
	at []time.Time
}

func (p *pullTimes) PullImage(ctx context.Context, ref string, o dockerapi.PullOptions, progress func(dockerapi.PullProgress)) error {
	p.at = append(p.at, time.Now())
	return p.Docker.PullImage(ctx, ref, o, progress)
}

// TestCutsBeforeStart: calls that were not answered before the start do not count against the container that runs.
func TestCutsBeforeStart(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.docker.before["start"] = slices.Repeat([]error{errCut}, maxRetries)
		d := b.send("m", "id", false, wait)
		for range 100 {
			time.Sleep(time.Second)
			synctest.Wait()
			if b.docker.named(t, "web").runs() {
				break
			}
		}
		c := b.docker.named(t, "web")
		time.Sleep(5 * time.Second)
		b.docker.die()
		time.Sleep(time.Second)
		b.docker.revive()
		time.Sleep(time.Minute)
		d.unsettled()
		c.exit(0)
	})
}

// TestFlapping: an engine that comes and goes does not end a run whose container goes on.
func TestFlapping(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		d := b.send("m", "id", false, wait)
		c := b.docker.named(t, "web")
		time.Sleep(24 * time.Hour)
		for range maxRetries + 2 {
			b.docker.die()
			time.Sleep(5 * time.Second)
			b.docker.revive()
			time.Sleep(45 * time.Second)
		}
		d.unsettled()
		c.exit(0)
		time.Sleep(time.Minute)
	})
}

// attachEnds is an engine whose attach ends at once.
type attachEnds struct{ container.Docker }

func (attachEnds) AttachContainer(context.Context, string, dockerapi.AttachOptions) (func() error, error) {
	return func() error { return nil }, nil
}

// TestClosedOutput: a container that closed its output, and has no log to read, is not given up for an engine that restarts now and then.
func TestClosedOutput(t *testing.T) {
	onBench(t, func(c *Config) { c.Docker = attachEnds{c.Docker} }, func(b *bench) {
		b.docker.unreadable = true
		d := b.send("m", "id", false, wait)
		c := b.docker.named(t, "web")
		for range maxRetries + 2 {
			time.Sleep(time.Hour)
			b.docker.die()
			time.Sleep(5 * time.Second)
			b.docker.revive()
			time.Sleep(time.Minute)
			b.mu.Lock()
			n := len(d.verdicts)
			b.mu.Unlock()
			if n > 0 {
				break
			}
		}
		d.unsettled()
		c.exit(0)
		time.Sleep(time.Minute)
	})
}

// TestCutCreateOfAnother: a container that an earlier process may have started is not started again because a create of ours was cut.
func TestCutCreateOfAnother(t *testing.T) {
	const body = `{"Dockercmd":"run","Image":"busybox","Cmd":["echo","hi"],"Options":{"Name":"web","Attach":["STDOUT"]}}`
	for _, cut := range []bool{false, true} {
		onBench(t, nil, func(b *bench) {
			i := identity.Of(intake.Job{Queue: "q", Body: []byte(body)})
			c := b.leave("web", "created", i.Labels(false))
			c.born = -1 // the engine was killed since, perhaps amid the start
			if cut {
				b.docker.before["create"] = []error{errCut}
			}
			b.send("m", "", true, body)
			time.Sleep(time.Minute)
			if slices.Contains(b.docker.did(), "start") {
				t.Errorf("cut %v: started, though it may have run", cut)
			}
		})
	}
}

// TestRemovalOfAttemptInProgress: the removal of another attempt's container by somebody else is waited for.
func TestRemovalOfAttemptInProgress(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		const body = `{"Dockercmd":"run","Image":"busybox","Cmd":["false"],"Options":{"Name":"web","Attach":["STDOUT"],"Retry":{"Max":2,"Delay":"1s"}}}`
		b.attempt = 1
		b.send("one", "id", false, body)
		b.docker.mu.Lock()
		b.docker.before["remove"] = slices.Repeat([]error{dockerapi.ErrRemovalInProgress}, 5000) // by somebody else's docker rm, of large volumes
		for _, c := range b.docker.byID {
			c.State.Status = "removing"
		}
		b.docker.mu.Unlock()
		b.attempt = 2
		began := time.Now()
		b.send("two", "id", false, body)
		b.docker.mu.Lock()
		n := 5000 - len(b.docker.before["remove"])
		b.docker.mu.Unlock()
		if n > 20 {
			t.Errorf("asked %d times for the removal within %v", n, time.Since(began))
		}
	})
}

// TestUnstartedThatRuns: a container whose start was not answered is not removed if it runs.
func TestUnstartedThatRuns(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.docker.after["start"] = []error{errCut}
		b.docker.before["inspect"] = slices.Repeat([]error{errCut}, maxRetries+1)
		b.send("m", "id", false, wait)
		time.Sleep(time.Hour)
		if b.docker.count() == 0 {
			t.Errorf("a running container was removed")
		}
	})
}
