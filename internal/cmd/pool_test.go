package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Messages that tests send. A container of wait runs until the test ends it.
const (
	echo  = `{"Dockercmd":"run","Image":"busybox","Cmd":["echo","hi"],"Options":{"Name":"web","Attach":["STDOUT","STDERR"],"Remove":true}}`
	wait  = `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Attach":["STDOUT","STDERR"],"Remove":true}}`
	plain = `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Attach":["STDOUT"],"Remove":true}}`
)

func named(name string) string { return strings.Replace(wait, `"web"`, `"`+name+`"`, 1) }

func TestRunForeground(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		d := b.send("m", "id1", false, echo)
		d.want(intake.Ack, "")
		want := []string{"list", "create web", "attach", "start", "inspect", "remove web"}
		if b.docker.noExits != nil {
			want = slices.Insert(want, 3, "wait next-exit")
		}
		if got := b.docker.did(); !slices.Equal(got, want) {
			t.Errorf("calls %q, want %q", got, want)
		}
		if got := b.record.output["web/stdout"]; got != "hi\n" {
			t.Errorf("output %q", got)
		}
		r := b.result()
		if r.Status != event.Succeeded || r.Job != "id1" || *r.ExitCode != 0 || r.Stdout != "hi\n" || r.StdoutBytes != 3 ||
			r.ContainerName != "web" || r.Queue != "q" || r.Host != "here" || r.StartedAt == nil || r.FinishedAt == nil || r.Incomplete || r.Adopted {
			t.Errorf("result %+v", r)
		}
		// With a message_id the container outlives the ack: it is what a redelivery is known by.
		events := []string{"ack m (containers: 1)", "fence m (containers: 1)"}
		if !slices.Equal(b.events, events) {
			t.Errorf("events %q, want %q", b.events, events)
		}
	})
}

func TestRunWithoutMessageID(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.send("m", "", false, echo).want(intake.Ack, "")
		if want := []string{"alive m (containers: 1)", "ack m (containers: 0)", "fence m (containers: 0)"}; !slices.Equal(b.events, want) {
			t.Errorf("events %q, want %q: the container's absence is what proves the message settled", b.events, want)
		}
	})
}

func TestRunLabelsAndName(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.send("m", "order-17", false, plain)
		var c *fakeContainer
		for _, c = range b.docker.all() {
		}
		if c == nil || c.Labels[identity.LabelJob] != "order-17" || c.Labels[identity.LabelQueue] != "q" || c.Labels[identity.LabelRemove] != "true" || len(c.Labels[identity.LabelDigest]) != 64 {
			t.Fatalf("container %+v", c)
		}
		if len(c.Name) != len("dispatch-")+12 || !strings.HasPrefix(c.Name, "dispatch-") {
			t.Errorf("name %q", c.Name)
		}
		again := identity.Of(intake.Job{Queue: "q", MessageID: "order-17", Body: []byte(plain)})
		if again.ContainerName("") != c.Name {
			t.Errorf("the name is not derived from the message: %q and %q", c.Name, again.ContainerName(""))
		}
		c.exit(0)
	})
}

func TestRunDetached(t *testing.T) {
	for _, body := range []string{
		`{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web"}}`,
		`{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Detach":true}}`,
	} {
		onBench(t, nil, func(b *bench) {
			b.send("m", "id", false, body).want(intake.Ack, "")
			if got, want := b.docker.did(), []string{"list", "create web", "start"}; !slices.Equal(got, want) {
				t.Errorf("calls %q, want %q", got, want)
			}
			if r := b.result(); r.Status != event.Succeeded || r.ExitCode != nil || r.ContainerID == "" {
				t.Errorf("result %+v", r)
			}
		})
	}
	t.Run("removed at its end", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.send("m", "id", false, `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Detach":true,"Remove":true}}`).want(intake.Ack, "")
			b.docker.named(t, "web").exit(0)
			synctest.Wait()
			if n := b.docker.count(); n != 0 {
				t.Errorf("%d containers left", n)
			}
		})
	})
}

// TestRunEnds is the table of how a container ends, and what becomes of its message.
func TestRunEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(b *bench, c *fakeContainer)
		status event.Status
		reason string
		exit   int
	}{
		{"exit 0", func(b *bench, c *fakeContainer) { c.exit(0) }, event.Succeeded, "", 0},
		{"exit 3", func(b *bench, c *fakeContainer) { c.exit(3) }, event.Failed, event.ReasonExit, 3},
		{"its own segfault", func(b *bench, c *fakeContainer) { c.exit(139) }, event.Failed, event.ReasonExit, 139},
		{"killed from without", func(b *bench, c *fakeContainer) { c.killed = 9; c.exit(137) }, event.Failed, event.ReasonKilled, 137},
		{"another signal from without", func(b *bench, c *fakeContainer) { c.killed = 1; c.exit(137) }, event.Failed, event.ReasonExit, 137},
		{"its own exit 137", func(b *bench, c *fakeContainer) { c.exit(137) }, event.Failed, event.ReasonExit, 137},
		{"its own exit 130", func(b *bench, c *fakeContainer) { c.exit(130) }, event.Failed, event.ReasonExit, 130},
		{"out of memory", func(b *bench, c *fakeContainer) { c.State.OOMKilled = true; c.exit(137) }, event.Failed, event.ReasonOOM, 137},
		{"stopped by a message", func(b *bench, c *fakeContainer) {
			b.send("stop", "", false, `{"Dockercmd":"stop","Container":"web"}`).want(intake.Ack, "")
		}, event.Stopped, "", 143},
		{"over its time", func(b *bench, c *fakeContainer) { time.Sleep(time.Hour + time.Second) }, event.Failed, event.ReasonTimeout, 143},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBench(t, func(c *Config) { c.Timeout = time.Hour }, func(b *bench) {
				d := b.send("m", "id", false, wait)
				d.unsettled()
				tt.end(b, b.docker.named(t, "web"))
				synctest.Wait()
				d.want(intake.Ack, tt.reason)
				var r event.Result
				for _, r = range b.record.results {
					if r.Command == "run" {
						break
					}
				}
				if r.Status != tt.status || r.Reason != tt.reason || *r.ExitCode != tt.exit || (r.Error == "") != (tt.status == event.Succeeded) {
					t.Errorf("result %+v", r)
				}
				if n := b.docker.count(); n != 0 {
					t.Errorf("%d containers left", n)
				}
			})
		})
	}
}

// TestOverdueIsStopped: a container whose time is up is stopped, however often the engine fails to, and in the end killed.
func TestOverdueIsStopped(t *testing.T) {
	broken := errors.New("cannot stop container: broken")
	for _, tt := range []struct {
		name   string
		errs   []error
		stops  int
		kills  int
		within time.Duration
	}{
		{"once", []error{broken}, 2, 0, time.Hour + 2*time.Second},
		{"its connection closes twice", []error{errCut, errCut}, 3, 0, time.Hour + 5*time.Second},
		{"errors that may pass", slices.Repeat([]error{dockerapi.ErrTemporary}, 2*maxRetries), 2*maxRetries + 1, 0, time.Hour + 2*time.Minute},
		{"each time", slices.Repeat([]error{broken}, 100), maxRetries + 1, 1, time.Hour + 10*time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBench(t, func(c *Config) { c.Timeout = time.Hour }, func(b *bench) {
				b.docker.before["stop"] = tt.errs
				began := time.Now()
				d := b.send("m", "id", false, `{"Dockercmd":"run","Image":"busybox","Options":{"Attach":["STDOUT"],"Name":"web"}}`)
				time.Sleep(24 * time.Hour)
				d.want(intake.Ack, event.ReasonTimeout)
				did := fmt.Sprint(b.docker.did())
				if stops, kills := strings.Count(did, "stop "), strings.Count(did, "kill "); stops != tt.stops || kills != tt.kills {
					t.Errorf("%d stops and %d kills, want %d and %d", stops, kills, tt.stops, tt.kills)
				}
				if took := b.result().FinishedAt.Sub(began); took > tt.within {
					t.Errorf("it ran for %v", took)
				}
			})
		})
	}
}

// TestRunFails lets each step fail, and expects the message kept with its reason, and no container left.
func TestRunFails(t *testing.T) {
	passing := []error{dockerapi.ErrTemporary, dockerapi.ErrTemporary, dockerapi.ErrTemporary, dockerapi.ErrTemporary, dockerapi.ErrTemporary, dockerapi.ErrTemporary}
	for _, tt := range []struct {
		call   string
		errs   []error
		reason string
		exit   int
	}{
		{"create", []error{dockerapi.ErrInvalid}, event.ReasonBadRequest, -1},
		{"create", []error{dockerapi.ErrNameInUse}, "", 0}, // the holder is gone when we look: tried again
		{"create", []error{errors.New("boom")}, event.ReasonEngine, -1},
		{"create", passing, event.ReasonEngine, -1},
		{"create", passing[:5], "", 0},
		{"attach", []error{errors.New("boom")}, event.ReasonEngine, -1},
		{"attach", []error{dockerapi.ErrTemporary}, "", 0},
		{"wait", []error{errors.New("boom")}, event.ReasonEngine, -1},
		{"start", []error{dockerapi.ErrCommandNotFound}, event.ReasonCommandNotFound, 127},
		{"start", []error{dockerapi.ErrNotExecutable}, event.ReasonNotExecutable, 126},
		{"start", []error{dockerapi.ErrNoSuchContainer}, event.ReasonNoSuchContainer, -1},
		{"start", passing, event.ReasonEngine, -1},
		{"start", passing[:5], "", 0},
		{"inspect", passing, "", 0}, // it has run: never given up
		{"remove", passing[:5], "", 0},
	} {
		t.Run(fmt.Sprintf("%s %v x%d", tt.call, tt.errs[0], len(tt.errs)), func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				if tt.call == "wait" && b.docker.noExits == nil {
					return // it makes none
				}
				b.docker.before[tt.call] = tt.errs
				d := b.send("m", "id", false, echo)
				time.Sleep(10 * time.Minute)
				v := intake.Ack
				if tt.reason != "" {
					v = intake.DeadLetter
				}
				d.want(v, tt.reason)
				if n := b.docker.count(); n != 0 {
					t.Errorf("%d containers left; calls %q", n, b.docker.did())
				}
				r := b.result()
				if tt.exit < 0 && r.ExitCode != nil || tt.exit >= 0 && (r.ExitCode == nil || *r.ExitCode != tt.exit) {
					t.Errorf("result %+v, want exit %d", r, tt.exit)
				}
			})
		})
	}
}

// TestRunSurvives loses the engine at each step, before and after the call has done its work, and
// expects one container, started once, and its whole output.
func TestRunSurvives(t *testing.T) {
	for _, call := range []string{"create", "attach", "wait", "start", "inspect", "remove"} {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s done=%v", call, done), func(t *testing.T) {
				onBench(t, nil, func(b *bench) {
					if done {
						b.docker.after[call] = []error{errCut}
					} else {
						b.docker.before[call] = []error{errCut}
					}
					d := b.send("m", "id", false, echo)
					time.Sleep(time.Minute)
					d.want(intake.Ack, "")
					if r := b.result(); r.Status != event.Succeeded || r.StdoutBytes != 3 || r.Incomplete {
						t.Errorf("result %+v", r)
					}
					starts := 0
					for _, c := range b.docker.did() {
						if c == "start" {
							starts++
						}
					}
					if want := 1; starts > want && !(call == "start" && !done && starts == 2) {
						t.Errorf("started %d times; calls %q", starts, b.docker.did())
					}
					if b.record.output["web/stdout"] != "hi\n" || b.docker.count() != 0 {
						t.Errorf("output %q, %d containers left", b.record.output, b.docker.count())
					}
				})
			})
		}
	}
}

// TestStartInDoubt: an engine that was killed in a start may refuse the next one for good.
func TestStartInDoubt(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.docker.before["start"] = []error{errCut, errors.New("task already exists")}
		d := b.send("m", "id", false, echo)
		time.Sleep(time.Minute)
		d.want(intake.DeadLetter, event.ReasonEngine)
		if r := b.result(); !strings.Contains(r.Error, "may have run") {
			t.Errorf("the error does not say that the job may have run: %s", r.Error)
		}
	})
}

// TestStartDoneAndRefused: a start that has an error for its answer may have been made all the same, and
// the container may have ended by the time that it is tried again.
func TestStartDoneAndRefused(t *testing.T) {
	for _, err := range []error{dockerapi.ErrTemporary, errCut} {
		for _, times := range []int{1, maxRetries + 1} {
			for _, body := range []string{echo, strings.Replace(echo, `"Attach":["STDOUT","STDERR"],"Remove":true`, `"Detach":true`, 1)} {
				onBench(t, nil, func(b *bench) {
					for n := range times {
						if n == times-1 {
							b.docker.after["start"] = []error{err}
						} else {
							b.docker.before["start"] = append(b.docker.before["start"], err)
						}
					}
					d := b.send("m", "id", false, body)
					time.Sleep(time.Hour)
					synctest.Wait()
					d.want(intake.Ack, "")
					starts := 0
					for _, c := range b.docker.did() {
						if c == "start" {
							starts++
						}
					}
					if starts != times {
						t.Errorf("%v: started %d times, want %d; calls %q", err, starts, times, b.docker.did())
					}
					if body == echo && (b.record.output["web/stdout"] != "hi\n" || b.docker.count() != 0) {
						t.Errorf("output %q, %d containers left", b.record.output, b.docker.count())
					}
				})
			}
		}
	}
}

// killedInStart is an engine that is killed in its first start, and back at once.
type killedInStart struct{ *fakeDocker }

func (k killedInStart) StartContainer(ctx context.Context, id string) error {
	k.mu.Lock()
	first := k.deaths == 0
	if first {
		k.deaths++
		k.calls = append(k.calls, "start")
	}
	k.mu.Unlock()
	if first {
		return errCut
	}
	return k.fakeDocker.StartContainer(ctx, id)
}

// TestKilledInStart: an engine that was killed in a start says that it never started the container,
// though the program may have run. It must not run twice.
func TestKilledInStart(t *testing.T) {
	onBench(t, func(c *Config) { c.Docker = killedInStart{c.Docker.(*fakeDocker)} }, func(b *bench) {
		d := b.send("m", "id", false, echo)
		time.Sleep(time.Minute)
		d.want(intake.DeadLetter, event.ReasonEngine)
		if r := b.result(); !strings.Contains(r.Error, "not started again") || b.record.output != nil || b.docker.count() != 0 {
			t.Errorf("result %+v; %d containers left", r, b.docker.count())
		}
	})
	t.Run("with the daemon", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			c := b.leave("web", "created", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(echo)}).Labels(true))
			c.State.Error = "task already exists" // of a second start, which proves nothing of the first
			b.docker.die()
			b.docker.revive()
			b.send("m", "id", true, echo).want(intake.DeadLetter, event.ReasonEngine)
			if slices.Contains(b.docker.did(), "start") {
				t.Error("started again")
			}
		})
	})
	t.Run("a create that was cut", func(t *testing.T) { // nobody has started what it made
		onBench(t, nil, func(b *bench) {
			b.docker.after["create"] = []error{errCut}
			d := b.send("m", "id", false, echo)
			time.Sleep(time.Minute)
			d.want(intake.Ack, "")
			if slices.Contains(b.docker.did(), "events") {
				t.Error("the engine's memory was asked")
			}
		})
	})
}

// TestExitUnknown: 255 from an engine that was down is not the container's.
func TestExitUnknown(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		d := b.send("m", "id", false, wait)
		b.docker.die()
		synctest.Wait()
		b.docker.named(t, "web").exit(255)
		time.Sleep(time.Minute)
		b.docker.revive()
		time.Sleep(time.Minute)
		d.want(intake.DeadLetter, event.ReasonEngine)
		if r := b.result(); r.ExitCode != nil || !r.Incomplete {
			t.Errorf("result %+v", r)
		}
	})
}

// TestExitZeroUnseen: nor is a 0 that was recorded when the engine came back; one from before is true, as is any
// other code, and what a wait tells that has lived through the end.
func TestExitZeroUnseen(t *testing.T) {
	for _, adopted := range []bool{false, true} {
		for _, tt := range []struct {
			code    int
			before  bool // the end was recorded before the engine was lost
			runs    bool // the engine finds it running again
			unknown bool
		}{
			{0, false, false, true},
			{0, true, false, false},
			{0, false, true, false},
			{3, false, false, false},
			{255, true, false, true},
		} {
			onBench(t, nil, func(b *bench) {
				var d *delivery
				var c *fakeContainer
				if adopted {
					c = b.leave("web", "running", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(wait)}).Labels(true))
					time.Sleep(time.Minute)
				} else {
					d = b.send("m", "id", false, wait)
					c = b.docker.named(t, "web")
				}
				end := time.Now()
				time.Sleep(time.Minute)
				b.docker.die()
				if adopted {
					b.pool.engine.Lost(errDial)
				}
				time.Sleep(time.Minute)
				if !tt.runs {
					c.exit(tt.code)
				}
				if tt.before {
					c.State.FinishedAt = end
				}
				b.docker.revive()
				time.Sleep(time.Minute)
				if adopted {
					d = b.send("m", "id", true, wait)
				}
				if tt.runs {
					c.exit(tt.code)
				}
				time.Sleep(time.Minute)
				r := b.result()
				verdict := intake.Ack
				if tt.unknown {
					verdict = intake.DeadLetter
				}
				if d.want(verdict, r.Reason); r.Adopted != adopted || (r.ExitCode == nil) != tt.unknown || (r.Status == event.Errored) != tt.unknown {
					t.Errorf("%+v, adopted %v: result %+v", tt, adopted, r)
				}
			})
		}
	}
}

// TestExitZeroOfRestart: nor is a 0 or 255 that a container has had since the engine was started, where nobody of us was there.
func TestExitZeroOfRestart(t *testing.T) {
	for _, tt := range []struct {
		what    string
		code    int
		end     time.Duration // behind the engine's start
		bridge  bool
		unknown bool
	}{
		{"as the engine was started", 0, -2 * time.Second, true, true},
		{"255 as the engine was started", 255, -2 * time.Second, true, true},
		{"255 seen by this one", 255, time.Second, true, false},
		{"another code", 3, -2 * time.Second, true, false},
		{"seen by the engine before", 0, -time.Minute, true, false},
		{"seen by this one", 0, time.Second, true, false},
		{"nobody knows", 0, -2 * time.Second, false, false},
	} {
		for _, body := range []string{wait, `{"Dockercmd":"wait","Container":"web"}`} {
			t.Run(tt.what, func(t *testing.T) {
				onBench(t, nil, func(b *bench) {
					c := b.leave("web", "running", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(wait)}).Labels(true))
					time.Sleep(time.Hour)
					if tt.bridge {
						b.docker.mu.Lock()
						b.docker.started = time.Now()
						b.docker.mu.Unlock()
					}
					c.exit(tt.code)
					b.docker.mu.Lock()
					if tt.unknown {
						c.born = -1 // by an engine before this one
					}
					c.State.FinishedAt = time.Now().Add(tt.end)
					b.docker.mu.Unlock()
					time.Sleep(time.Hour)
					b.send("m", "id", true, body)
					time.Sleep(time.Minute)
					if r := b.result(); (r.ExitCode == nil) != tt.unknown || (r.Status == event.Errored && strings.HasPrefix(r.Error, exitUnseen)) != tt.unknown {
						t.Errorf("%s: result %+v", body, r)
					}
				})
			})
		}
	}
}

// TestExitZeroNoticedLate: nor is a 0 from before the engine was noticed to be away, if the engine was started then.
func TestExitZeroNoticedLate(t *testing.T) {
	for _, tt := range []struct {
		started time.Duration // after the container's end
		unknown bool
	}{{time.Second, true}, {-time.Hour, false}, {-time.Second, false}, {time.Minute, false}} {
		onBench(t, nil, func(b *bench) {
			b.send("m", "id", false, wait)
			c := b.docker.named(t, "web")
			time.Sleep(2 * time.Hour)
			b.docker.mu.Lock()
			// The connections hang, and the engine is back before they break.
			b.docker.started = time.Now().Add(tt.started)
			c.State.Status, c.State.Running, c.State.ExitCode, c.State.FinishedAt = "exited", false, new(0), time.Now() // no wait tells it
			b.docker.mu.Unlock()
			time.Sleep(6 * time.Second)
			b.docker.mu.Lock()
			b.docker.deaths++
			b.docker.touch()
			b.docker.mu.Unlock()
			time.Sleep(time.Minute)
			synctest.Wait()
			if r := b.result(); (r.ExitCode == nil) != tt.unknown || (r.Status == event.Errored && strings.HasPrefix(r.Error, exitUnseen)) != tt.unknown {
				t.Errorf("engine started %v after the end: result %+v", tt.started, r)
			}
		})
	}
}

// TestExitAfterOutage: an engine that was only out of reach knows all of a container.
func TestExitAfterOutage(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		d := b.send("m", "id", false, wait)
		c := b.docker.named(t, "web")
		b.docker.mu.Lock()
		b.docker.down = true
		b.docker.before["logs"] = []error{errCut}
		b.docker.mu.Unlock()
		b.pool.engine.Lost(errCut)
		time.Sleep(time.Minute)
		c.write("stdout", "all of it\n")
		c.exit(255)
		b.docker.revive()
		time.Sleep(time.Minute)
		d.want(intake.Ack, event.ReasonExit)
		if r := b.result(); *r.ExitCode != 255 || r.Incomplete || r.Stdout != "all of it\n" {
			t.Errorf("result %+v", r)
		}
	})
	onBench(t, nil, func(b *bench) { // an engine that has forgotten the container, but tells its exit to a wait
		c := b.leave("web", "running", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(echo)}).Labels(true))
		c.born = -1
		d := b.send("m", "id", true, echo)
		c.exit(255)
		time.Sleep(time.Minute)
		d.want(intake.Ack, event.ReasonExit)
		if r := b.result(); *r.ExitCode != 255 || r.Incomplete {
			t.Errorf("result %+v", r)
		}
	})
	for _, restarted := range []bool{false, true} { // before this process began
		onBench(t, nil, func(b *bench) {
			c := b.leave("web", "exited", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(echo)}).Labels(true))
			c.State.ExitCode = new(255)
			if restarted {
				b.docker.die()
				b.docker.revive()
				time.Sleep(time.Minute) // this process may have seen it, and takes nothing for a while
			}
			d := b.send("m", "id", true, echo)
			time.Sleep(time.Minute)
			if restarted {
				d.want(intake.DeadLetter, event.ReasonEngine)
			} else {
				d.want(intake.Ack, event.ReasonExit)
			}
		})
	}
}

// TestEngineDies kills the engine under a running container.
func TestEngineDies(t *testing.T) {
	for _, tt := range []struct {
		name       string
		unreadable bool
		while      func(c *fakeContainer) // while the engine is away
		after      func(c *fakeContainer)
		status     event.Status
		output     string
	}{
		{"and the container with it", false, func(c *fakeContainer) { c.exit(137) }, func(c *fakeContainer) {}, event.Failed, "one\ntwo\n"},
		{"and the container lives on", false, func(c *fakeContainer) {}, func(c *fakeContainer) { c.write("stdout", "three\n"); c.exit(0) }, event.Succeeded, "one\ntwo\nthree\n"},
		{"and the log cannot be read", true, func(c *fakeContainer) {}, func(c *fakeContainer) { c.write("stdout", "three\n"); c.exit(0) }, event.Succeeded, "one\nthree\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				b.docker.unreadable = tt.unreadable
				d := b.send("m", "id", false, wait)
				c := b.docker.named(t, "web")
				c.write("stdout", "one\n")
				synctest.Wait()
				b.docker.die()
				synctest.Wait()
				if open, _ := b.gate.State(); open {
					t.Error("the gate is open while the engine is away")
				}
				c.write("stdout", "two\n")
				tt.while(c)
				time.Sleep(time.Hour)
				d.unsettled()
				b.docker.revive()
				time.Sleep(time.Minute)
				tt.after(c)
				time.Sleep(time.Minute)
				r := b.result()
				if r.Status != tt.status || r.Incomplete != (tt.unreadable || tt.status == event.Failed) {
					t.Errorf("result %+v", r)
				}
				if got := b.record.output["web/stdout"]; got != tt.output {
					t.Errorf("output %q, want %q", got, tt.output)
				}
				if len(b.record.started) != 1 {
					t.Errorf("started %d times", len(b.record.started))
				}
				if b.docker.count() != 0 {
					t.Error("container left")
				}
			})
		})
	}
}

func TestEngineAwayGivesBack(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
		running := b.send("running", "1", false, named("aa"))
		waiting := b.send("waiting", "2", false, named("bb"))
		behind := b.send("behind", "3", false, `{"Dockercmd":"stop","Container":"bb"}`)
		waiting.unsettled()
		b.docker.die()
		synctest.Wait()
		running.unsettled()
		waiting.want(intake.Requeue, "")
		behind.want(intake.Requeue, "")
		late := b.send("late", "4", false, named("cc"))
		late.want(intake.Requeue, "")
		bad := b.send("bad", "5", false, `{}`)
		bad.want(intake.DeadLetter, event.ReasonInvalid) // needs no engine
		b.docker.revive()
		time.Sleep(time.Minute)
		b.docker.named(t, "aa").exit(0)
		synctest.Wait()
		running.want(intake.Ack, "")
		b.send("waiting", "2", true, strings.Replace(named("bb"), "wait", "echo", 1)).want(intake.Ack, "")
	})
}

// TestGivesBackInOrder: what has not begun goes back oldest first, whatever made it go back.
func TestGivesBackInOrder(t *testing.T) {
	for name, end := range map[string]func(b *bench){
		"the program stops":  func(b *bench) { b.close() },
		"the engine is lost": func(b *bench) { b.docker.die() },
	} {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
				b.send("blocker", "", false, named("blocker"))
				var want []string
				for i := range 20 {
					for _, body := range []string{
						`{"Dockercmd":"run","Image":"busybox","Options":{"Name":"nn"}}`, `{"Dockercmd":"stop","Container":"nn"}`, `{"Dockercmd":"remove","Container":"nn"}`,
					} {
						d := b.post(fmt.Sprintf("%02d %s", i, body[12:16]), "", false, strings.ReplaceAll(body, "nn", fmt.Sprintf("n%d", i%7)))
						want = append(want, fmt.Sprintf("requeue %s (containers: 1)", d.name))
					}
				}
				synctest.Wait()
				end(b)
				synctest.Wait()
				b.mu.Lock()
				got := slices.Clone(b.events)
				b.mu.Unlock()
				if !slices.Equal(got, want) {
					t.Errorf("given back as\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				b.docker.revive()
				time.Sleep(time.Minute)
				b.docker.named(t, "blocker").exit(0)
			})
		})
	}
}

func TestEngineFirstSeenDown(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		// The engine dies unseen: the first job finds out, and nothing of it has begun.
		b.docker.die()
		d := b.send("m", "id", false, echo)
		d.want(intake.Requeue, "")
		if open, _ := b.gate.State(); open {
			t.Error("gate open")
		}
	})
}

func TestImages(t *testing.T) {
	body := strings.Replace(echo, "busybox", "other", 1)
	notFound := fmt.Errorf("pull: %w: manifest unknown", dockerapi.ErrNoSuchImage)
	for _, tt := range []struct {
		policy string
		pull   []error
		reason string
		calls  string
	}{
		{"missing", nil, "", "create web,pull other,create web,attach"},
		{"missing", []error{notFound}, event.ReasonNoSuchImage, "create web,pull other"},
		{"missing", []error{dockerapi.ErrUnauthorized}, event.ReasonNoSuchImage, "create web,pull other"},
		{"missing", []error{dockerapi.ErrTemporary, nil}, "", "create web,pull other,pull other,create web,attach"},
		{"never", nil, event.ReasonNoSuchImage, "create web"},
		{"always", nil, "", "pull other,create web,attach"},
		{"always", []error{notFound}, event.ReasonNoSuchImage, "pull other"},
	} {
		t.Run(tt.policy, func(t *testing.T) {
			onBench(t, func(c *Config) { c.Pull = tt.policy }, func(b *bench) {
				b.docker.before["pull"] = tt.pull
				d := b.send("m", "", false, body)
				time.Sleep(time.Minute)
				v := intake.Ack
				if tt.reason != "" {
					v = intake.DeadLetter
				}
				d.want(v, tt.reason)
				if got := strings.Join(b.docker.did(), ","); got != tt.calls && !strings.HasPrefix(got, tt.calls+",") {
					t.Errorf("calls %s, want %s", got, tt.calls)
				}
			})
		})
	}
}

func TestNames(t *testing.T) {
	foreign := func(b *bench, labels map[string]string, status string) *fakeContainer {
		c := &fakeContainer{engine: b.docker}
		c.ID, c.Name, c.Labels, c.State.Status = "foreign", "web", labels, status
		if status != "created" {
			c.State.StartedAt = time.Now()
		}
		c.State.Running = status == "running"
		b.docker.byID[c.ID] = c
		return c
	}
	ours := func(job, body string) map[string]string {
		return identity.Of(intake.Job{Queue: "q", MessageID: job, Body: []byte(body)}).Labels(true)
	}
	t.Run("taken by a stranger", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			foreign(b, nil, "exited")
			b.send("m", "id", false, echo).want(intake.DeadLetter, event.ReasonNameConflict)
			if b.docker.count() != 1 {
				t.Error("the stranger's container was removed")
			}
		})
	})
	t.Run("taken by another job that runs", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.send("first", "1", false, wait)
			b.send("second", "2", false, echo).want(intake.DeadLetter, event.ReasonNameConflict)
			b.docker.named(t, "web").exit(0)
		})
	})
	t.Run("ended and about to be removed", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			c := foreign(b, ours("other", "other body"), "exited")
			d := b.send("m", "id", false, echo)
			d.unsettled()
			b.docker.mu.Lock()
			delete(b.docker.byID, c.ID)
			b.docker.mu.Unlock()
			time.Sleep(time.Second)
			d.want(intake.Ack, "")
		})
	})
	t.Run("ended but not removed", func(t *testing.T) { // its process was killed behind the ack
		onBench(t, nil, func(b *bench) {
			foreign(b, ours("other", "other body"), "exited")
			d := b.send("m", "id", false, echo)
			time.Sleep(5 * time.Second)
			d.want(intake.Ack, "")
			if c := b.docker.named(t, "dispatch-ended-foreign"); b.docker.count() != 1 || c.ID != "foreign" {
				t.Errorf("%d containers", b.docker.count())
			}
		})
	})
	t.Run("held by a job that waits for the broker", func(t *testing.T) {
		for _, id := range []string{"1", ""} {
			onBench(t, nil, func(b *bench) {
				first := b.send("first", id, false, wait)
				first.lose()
				b.docker.named(t, "web").exit(0)
				second := b.send("second", "2", false, echo)
				time.Sleep(10 * time.Minute) // the broker is away
				second.want(intake.Ack, "")
				if b.docker.count() != 1 {
					t.Errorf("%d containers", b.docker.count())
				}
				b.send("first again", id, true, wait).want(intake.Ack, "")
				if b.docker.count() != 0 || len(b.record.results) != 2 {
					t.Errorf("%d containers, results %+v", b.docker.count(), b.record.results)
				}
			})
		}
	})
	t.Run("renamed to make room, and asked for after all", func(t *testing.T) {
		for _, id := range []string{"other", ""} {
			onBench(t, nil, func(b *bench) {
				c := foreign(b, ours(id, wait), "exited")
				c.State.ExitCode = new(4)
				b.send("m", "id", false, echo)
				time.Sleep(5 * time.Second)
				b.send("other", id, id == "", wait).want(intake.Ack, event.ReasonExit)
				if r := b.result(); !r.Adopted || *r.ExitCode != 4 || b.docker.count() != 0 {
					t.Errorf("result %+v, %d containers", r, b.docker.count())
				}
			})
		}
	})
	t.Run("of the same message_id, but not the same job", func(t *testing.T) {
		for _, change := range []string{identity.LabelDigest, identity.LabelQueue} {
			onBench(t, nil, func(b *bench) {
				labels := ours("id", echo)
				labels[change], labels[identity.LabelRemove] = "another", "false"
				foreign(b, labels, "exited")
				b.send("m", "id", true, echo).want(intake.DeadLetter, event.ReasonNameConflict)
			})
		}
	})
	t.Run("our own of an earlier process, running", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			c := foreign(b, ours("id", echo), "running")
			c.log = []chunk{{"stdout", "before\n"}}
			d := b.send("m", "id", true, echo)
			c.write("stdout", "now\n")
			c.exit(0)
			synctest.Wait()
			d.want(intake.Ack, "")
			if r := b.result(); !r.Adopted || r.Incomplete || r.Stdout != "before\nnow\n" {
				t.Errorf("result %+v", r)
			}
			if slices.Contains(b.docker.did(), "start") || b.docker.count() != 0 {
				t.Errorf("calls %q", b.docker.did())
			}
		})
	})
	t.Run("our own of an earlier process, ended", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			c := foreign(b, ours("id", echo), "exited")
			c.log, c.State.ExitCode = []chunk{{"stdout", "before\n"}, {"stderr", "oops"}}, new(4)
			b.send("m", "id", true, echo).want(intake.Ack, event.ReasonExit)
			if r := b.result(); !r.Adopted || *r.ExitCode != 4 || r.Stdout != "before\n" || r.Stderr != "oops" {
				t.Errorf("result %+v", r)
			}
		})
	})
	t.Run("our own of an earlier process, created", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			c := foreign(b, ours("id", echo), "created")
			c.config.Cmd = []string{"echo", "hi"}
			b.send("m", "id", true, echo).want(intake.Ack, "")
			if r := b.result(); r.Stdout != "hi\n" {
				t.Errorf("result %+v", r)
			}
		})
	})
}

// TestOrphans: unnamed runs without a message_id that an earlier process left are known by labels.
func TestOrphans(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 10 }, func(b *bench) {
		for i := range 2 { // two equal messages were at work
			c := &fakeContainer{engine: b.docker}
			c.ID, c.Name = fmt.Sprintf("orphan%d", i), fmt.Sprintf("dispatch-%012d", i)
			c.Labels = identity.Of(intake.Job{Queue: "q", Body: []byte(plain)}).Labels(true)
			c.State = dockerapi.State{Status: "running", Running: true, StartedAt: time.Now()}
			b.docker.byID[c.ID] = c
		}
		fresh := b.send("fresh", "", false, plain) // not delivered before: runs anew
		one, two := b.post("one", "", true, plain), b.post("two", "", true, plain)
		synctest.Wait()
		three := b.send("three", "", true, plain) // no orphan is left for it
		if n := len(b.docker.all()); n != 4 {
			t.Errorf("%d containers, want 4", n)
		}
		for _, c := range b.docker.all() {
			c.exit(0)
		}
		synctest.Wait()
		for _, d := range []*delivery{fresh, one, two, three} {
			d.want(intake.Ack, "")
		}
		adopted := 0
		for _, r := range b.record.results {
			if r.Adopted {
				adopted++
			}
		}
		if adopted != 2 || b.docker.count() != 0 {
			t.Errorf("%d adopted, want 2; %d containers left", adopted, b.docker.count())
		}
	})
}

func TestStopAndRemove(t *testing.T) {
	for _, tt := range []struct {
		name, body  string
		redelivered bool
		err         []error
		after       []error
		verdict     intake.Verdict
		reason      string
	}{
		{"stop of none", `{"Dockercmd":"stop","Container":"nono"}`, false, nil, nil, intake.Ack, event.ReasonNoSuchContainer},
		{"remove of none", `{"Dockercmd":"remove","Container":"nono"}`, false, nil, nil, intake.Ack, event.ReasonNoSuchContainer},
		{"remove of one gone before", `{"Dockercmd":"remove","Container":"nono"}`, true, nil, nil, intake.Ack, ""},
		{"remove of a running one", `{"Dockercmd":"remove","Container":"web"}`, false, nil, nil, intake.DeadLetter, event.ReasonConflict},
		{"forced remove", `{"Dockercmd":"rm","Container":"web","Options":{"Force":true}}`, false, nil, nil, intake.Ack, ""},
		{"remove whose answer is lost", `{"Dockercmd":"rm","Container":"web","Options":{"Force":true}}`, false, nil, []error{errCut}, intake.Ack, ""},
		{"stop", `{"Dockercmd":"stop","Container":"web"}`, false, nil, nil, intake.Ack, ""},
		{"stop with a fault that passes", `{"Dockercmd":"stop","Container":"web"}`, false, []error{dockerapi.ErrTemporary, errCut}, nil, intake.Ack, ""},
		{"stop refused", `{"Dockercmd":"stop","Container":"web"}`, false, []error{dockerapi.ErrInvalid}, nil, intake.DeadLetter, event.ReasonBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				run := b.send("run", "r", false, wait)
				b.docker.before["stop"], b.docker.after["remove"] = tt.err, tt.after
				d := b.send("m", "id", tt.redelivered, tt.body)
				time.Sleep(time.Minute)
				d.want(tt.verdict, tt.reason)
				if b.docker.count() > 0 {
					b.docker.named(t, "web").exit(0)
				} else {
					run.want(intake.Ack, "") // its end was asked for
				}
			})
		})
	}
}

func TestOrderOnOneName(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
		other := b.send("other", "0", false, named("other"))
		run := b.send("run", "1", false, named("web"))
		stop := b.send("stop", "2", false, `{"Dockercmd":"stop","Container":"web"}`)
		again := b.send("again", "4", false, strings.Replace(named("web"), "wait", "echo", 1))
		run.unsettled()
		stop.unsettled() // its run waits for a slot
		again.unsettled()
		// A stop of another container overtakes the runs that wait.
		b.send("overtakes", "5", false, `{"Dockercmd":"stop","Container":"other"}`).want(intake.Ack, "")
		other.want(intake.Ack, "")
		run.want(intake.Ack, "")
		stop.want(intake.Ack, "")
		time.Sleep(time.Minute)
		again.want(intake.Ack, "")
		calls := b.docker.did()
		for _, pair := range [][2]string{{"stop other", "create web"}, {"create web", "stop web"}} {
			if slices.Index(calls, pair[0]) > slices.Index(calls, pair[1]) {
				t.Errorf("%q came behind %q: %q", pair[0], pair[1], calls)
			}
		}
	})
}

// TestSameNameAgainAndAgain queues run, stop and remove of one name three times at once. Nothing may
// wait for a later command: the whole takes no time but for the removal's own.
func TestSameNameAgainAndAgain(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		begin := time.Now()
		var all []*delivery
		for i := range 3 {
			for _, body := range []string{
				`{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Attach":["STDOUT"]}}`,
				`{"Dockercmd":"stop","Container":"web"}`, `{"Dockercmd":"remove","Container":"web"}`,
			} {
				all = append(all, b.post(fmt.Sprintf("%d %s", i, body[12:16]), "", false, body))
			}
		}
		synctest.Wait()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("took %v", took)
		}
		for i, d := range all {
			d.want(intake.Ack, []string{"", "", ""}[i%3])
		}
	})
}

func TestConcurrency(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 3 }, func(b *bench) {
		for i := range 10 {
			b.send(fmt.Sprint(i), fmt.Sprint(i), false, named(fmt.Sprintf("n%d", i)))
		}
		for i := range 10 { // they start in the order in which they came, three at a time
			if got, want := b.docker.count(), min(3, 10-i); got != want {
				t.Errorf("%d containers run, want %d", got, want)
			}
			b.docker.named(t, fmt.Sprintf("n%d", i)).exit(0)
			synctest.Wait()
		}
	})
}

func TestJoin(t *testing.T) {
	t.Run("published twice", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			d1 := b.send("1", "id", false, wait)
			d2 := b.send("2", "id", false, wait)
			b.docker.named(t, "web").exit(0)
			synctest.Wait()
			d1.want(intake.Ack, "")
			d2.want(intake.Ack, "")
			b.send("3", "id", false, wait).want(intake.Ack, "") // settled lately: acked at once
			if n := len(b.record.results); n != 1 {
				t.Errorf("ran %d times", n)
			}
		})
	})
	t.Run("delivery lost while it runs", func(t *testing.T) {
		for _, id := range []string{"id", ""} {
			onBench(t, nil, func(b *bench) {
				d1 := b.send("1", id, false, plain)
				d1.lose()
				d2 := b.send("2", id, true, plain)
				if b.docker.count() != 1 {
					t.Fatalf("message_id %q: %d containers", id, b.docker.count())
				}
				for _, c := range b.docker.all() {
					c.exit(0)
				}
				synctest.Wait()
				d1.want0(t)
				d2.want(intake.Ack, "")
			})
		}
	})
	t.Run("delivery lost before it began", func(t *testing.T) { // the broker may have given it to somebody else
		for _, body := range []string{named("bb"), `{"Dockercmd":"stop","Container":"aa"}`} {
			for _, id := range []string{"id", ""} {
				onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
					first := b.send("first", "1", false, named("aa"))
					between := b.send("between", "2", false, `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"aa","Attach":["STDOUT"],"Remove":true}}`)
					d := b.send("m", id, false, body)
					d.lose()
					between.lose()
					b.docker.named(t, "aa").exit(0)
					synctest.Wait()
					first.want(intake.Ack, "")
					if calls := fmt.Sprint(b.docker.did()); strings.Contains(calls, "create bb") || strings.Contains(calls, "stop aa") || strings.Count(calls, "create aa") > 1 {
						t.Errorf("begun without a delivery: %s", calls)
					}
					if n := b.pool.jobs.Size().Tasks; n != 0 {
						t.Errorf("%d tasks are left", n)
					}
					again := b.send("m again", id, true, strings.Replace(body, "wait", "echo", 1))
					if strings.Contains(body, "stop") {
						again.want(intake.Ack, event.ReasonNoSuchContainer)
					} else {
						again.want(intake.Ack, "")
					}
				})
			}
		}
	})
	t.Run("delivery lost, and the job ended before the message came again", func(t *testing.T) {
		for _, id := range []string{"id", ""} {
			onBench(t, nil, func(b *bench) {
				d1 := b.send("1", id, false, wait)
				d1.lose()
				b.docker.named(t, "web").exit(0)
				synctest.Wait()
				if b.docker.count() != 1 {
					t.Errorf("message_id %q: %d containers while no answer can be given, want 1", id, b.docker.count())
				}
				b.send("2", id, true, wait).want(intake.Ack, "")
				if b.docker.count() != 0 || len(b.record.results) != 1 {
					t.Errorf("%d containers, %d results", b.docker.count(), len(b.record.results))
				}
			})
		}
	})
	t.Run("connection ended behind the ack", func(t *testing.T) {
		for _, id := range []string{"id", ""} {
			onBench(t, nil, func(b *bench) {
				d1 := b.send("1", id, false, wait)
				d1.fences = []error{intake.ErrDeliveryLost}
				b.docker.named(t, "web").exit(0)
				synctest.Wait()
				d1.want(intake.Ack, "")
				if want := map[string]int{"id": 1, "": 0}[id]; b.docker.count() != want {
					t.Fatalf("message_id %q: %d containers while the ack may be lost, want %d", id, b.docker.count(), want)
				}
				b.send("2", id, true, wait).want(intake.Ack, "")
				if b.docker.count() != 0 || len(b.record.results) != 1 {
					t.Errorf("message_id %q: %d containers, %d results", id, b.docker.count(), len(b.record.results))
				}
			})
		}
	})
	t.Run("connection ended behind the ack, which was taken", func(t *testing.T) {
		for _, id := range []string{"id", ""} {
			var quiet atomic.Bool
			onEngine(t, withExits, func(c *Config) {
				c.Quiet = func(_ context.Context, consumed time.Duration) (intake.Place, bool) {
					return intake.Place{}, quiet.Load() && consumed == live.QuietFor
				}
			}, func(b *bench) {
				b.fences = []error{intake.ErrDeliveryLost}
				b.send("1", id, false, wait)
				b.docker.named(t, "web").exit(0)
				time.Sleep(time.Hour)
				if want := map[string]int{"id": 1, "": 0}[id]; b.docker.count() != want {
					t.Errorf("message_id %q: %d containers while the message may come again, want %d", id, b.docker.count(), want)
				}
				quiet.Store(true)
				time.Sleep(time.Hour)
				if b.docker.count() != 0 {
					t.Error("container left though the message does not come again")
				}
				b.fences = nil
				b.send("2", "", true, echo).want(intake.Ack, "") // an equal message is a job of its own by now
				b.send("3", "", true, wait).unsettled()
				b.docker.named(t, "web").exit(0)
			})
		}
	})
	t.Run("connection ended by the broker behind the ack, which was taken", func(t *testing.T) {
		for _, released := range []bool{true, false} {
			onBench(t, func(c *Config) {
				back := time.Now()
				c.Quiet = func(_ context.Context, consumed time.Duration) (intake.Place, bool) {
					return intake.Place{}, time.Since(back) >= consumed
				}
			}, func(b *bench) {
				b.fences, b.released = []error{intake.ErrDeliveryLost}, released
				b.send("1", "id", false, wait)
				b.docker.named(t, "web").exit(0)
				time.Sleep(goneLook)
				synctest.Wait()
				if want := map[bool]int{true: 0, false: 1}[released]; b.docker.count() != want {
					t.Errorf("released %v: %d containers, want %d", released, b.docker.count(), want)
				}
				time.Sleep(2 * live.QuietFor)
				synctest.Wait()
				if b.docker.count() != 0 {
					t.Errorf("released %v: the container stays", released)
				}
			})
		}
	})
	t.Run("connection ended before the removal", func(t *testing.T) {
		for _, quiet := range []bool{false, true} {
			onBench(t, func(c *Config) {
				back := time.Now()
				c.Quiet = func(_ context.Context, consumed time.Duration) (intake.Place, bool) {
					return intake.Place{}, quiet && time.Since(back) >= consumed
				}
			}, func(b *bench) {
				b.alives = []error{intake.ErrDeliveryLost} // before the session knows it
				d1 := b.send("1", "", false, wait)
				b.alives = nil
				b.docker.named(t, "web").exit(0)
				synctest.Wait()
				d1.unsettled()
				if b.docker.count() != 1 {
					t.Fatal("removed although nothing can be acked: a process that comes now runs it again")
				}
				if quiet { // the message has gone another way
					time.Sleep(time.Hour)
				} else {
					d1.lose()
					b.send("2", "", true, wait).want(intake.Ack, "")
				}
				if b.docker.count() != 0 || len(b.record.results) != 1 {
					t.Errorf("%d containers, %d results", b.docker.count(), len(b.record.results))
				}
			})
		}
	})
	t.Run("broker away for hours", func(t *testing.T) {
		for _, id := range []string{"id", ""} {
			onBench(t, nil, func(b *bench) {
				d1 := b.send("1", id, false, wait)
				d1.lose()
				b.docker.named(t, "web").exit(0)
				time.Sleep(30 * time.Hour)
				b.send("2", id, true, wait).want(intake.Ack, "")
				if b.docker.count() != 0 || len(b.record.results) != 1 {
					t.Errorf("message_id %q: %d containers, %d results", id, b.docker.count(), len(b.record.results))
				}
			})
		}
	})
	t.Run("connection ended behind the ack of a dead letter", func(t *testing.T) {
		for _, id := range []string{"id", ""} {
			onBench(t, nil, func(b *bench) {
				b.stores, b.fences = true, []error{intake.ErrDeliveryLost}
				d1 := b.send("1", id, false, "rubbish")
				b.fences = nil
				d1.want(intake.Ack, event.ReasonInvalid)
				d2 := b.send("2", id, true, "rubbish")
				d2.want(intake.Ack, event.ReasonInvalid)
				if d1.copies+d2.copies != 1 || len(b.record.results) != 1 {
					t.Errorf("message_id %q: %d copies in the dead-letter queue, %d results, want one of each", id, d1.copies+d2.copies, len(b.record.results))
				}
			})
		}
	})
	t.Run("equal messages without an id are different jobs", func(t *testing.T) {
		onBench(t, func(c *Config) { c.Concurrency = 10 }, func(b *bench) {
			b.send("1", "", false, plain)
			b.send("2", "", false, plain)
			b.send("3", "", true, plain) // redelivered to us, but neither delivery is lost: a third job
			if b.docker.count() != 3 {
				t.Errorf("%d containers, want 3", b.docker.count())
			}
			for _, c := range b.docker.all() {
				c.exit(0)
			}
		})
	})
	t.Run("a delivery being acked is no orphan", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			d1 := b.send("1", "", false, plain)
			d1.hold = make(chan struct{})
			for _, c := range b.docker.all() {
				c.exit(0)
			}
			synctest.Wait() // the first job waits for its ack to be written
			b.send("2", "", true, plain)
			if len(b.docker.all()) != 1 {
				t.Error("the second of two equal messages was taken for the first")
			}
			close(d1.hold)
			for _, c := range b.docker.all() {
				c.exit(0)
			}
		})
	})
	t.Run("a dead letter sent again runs again", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.docker.before["create"] = []error{dockerapi.ErrInvalid}
			b.send("1", "id", false, echo).want(intake.DeadLetter, event.ReasonBadRequest)
			b.send("2", "id", false, echo).want(intake.Ack, "")
			if b.record.output["web/stdout"] != "hi\n" {
				t.Error("not run")
			}
		})
	})
}

func (d *delivery) want0(t *testing.T) {
	t.Helper()
	if len(d.verdicts) != 0 {
		t.Errorf("a lost delivery was settled: %v", d.verdicts)
	}
}

func TestStopIntake(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
		running := b.send("running", "1", false, named("aa"))
		waiting := b.send("waiting", "2", false, named("bb"))
		b.close()
		synctest.Wait()
		waiting.want(intake.Requeue, "")
		running.unsettled()
		b.docker.named(t, "aa").exit(0)
		if left := <-b.done; left != 0 {
			t.Errorf("%d jobs left", left)
		}
		running.want(intake.Ack, "")
	})
}

func TestStopWorkLeavesContainers(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		running := b.send("running", "1", false, named("aa"))
		b.close()
		b.stop()
		if left := <-b.done; left != 1 {
			t.Errorf("%d jobs left, want 1", left)
		}
		running.unsettled()
		if c := b.docker.named(t, "aa"); !c.State.Running {
			t.Error("the container was ended")
		}
		if len(b.record.results) != 0 {
			t.Errorf("results %+v", b.record.results)
		}
	})
}

// TestStopWhileSettling: a job whose result is known is settled, if that can be had soon.
func TestStopWhileSettling(t *testing.T) {
	for _, id := range []string{"id", ""} {
		for _, down := range []bool{false, true} {
			t.Run(fmt.Sprintf("message_id %q, engine down: %v", id, down), func(t *testing.T) {
				onBench(t, nil, func(b *bench) {
					b.docker.before["remove"] = []error{dockerapi.ErrTemporary}
					d := b.send("m", id, false, wait)
					b.docker.named(t, "web").exit(0)
					synctest.Wait() // the removal is tried again in a moment
					if down {
						b.docker.die()
					}
					b.close()
					b.stop()
					left := <-b.done
					want, containers := 0, 0
					if down {
						want, containers = 1, 1
					}
					if left != want || b.docker.count() != containers {
						t.Errorf("%d jobs left, %d containers; want %d and %d", left, b.docker.count(), want, containers)
					}
					if id == "" && down {
						d.unsettled() // else an equal message would be taken for this one
					} else {
						d.want(intake.Ack, "")
					}
				})
			})
		}
	}
}

// TestContainerCannotBeRemoved: what stays of a settled message is not taken for that of an equal one.
func TestContainerCannotBeRemoved(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		broken := errors.New("driver failed to remove root filesystem")
		b.docker.before["remove"] = []error{broken}
		const unnamed = `{"Dockercmd":"run","Image":"busybox","Cmd":["echo","hi"],"Options":{"Attach":["STDOUT"],"Remove":true}}`
		b.send("1", "", false, unnamed).want(intake.Ack, "")
		if b.docker.count() != 1 {
			t.Fatal("the container is gone")
		}
		b.send("2", "", true, unnamed).want(intake.Ack, "")
		if len(b.record.results) != 2 || b.result().Adopted || b.docker.count() != 1 {
			t.Errorf("results %+v", b.record.results)
		}
	})
}

type panics struct{ *fakeDocker }

func (panics) StopContainer(context.Context, string, dockerapi.StopOptions) error {
	panic("at the disco")
}

func TestPanicIsKept(t *testing.T) {
	onBench(t, func(c *Config) { c.Docker = panics{c.Docker.(*fakeDocker)} }, func(b *bench) {
		b.leave("web", "running", nil)
		b.send("m", "id", false, `{"Dockercmd":"stop","Container":"web"}`).want(intake.DeadLetter, event.ReasonInternal)
		b.send("next", "", false, strings.Replace(echo, `"web"`, `"other"`, 1)).want(intake.Ack, "")
	})
}

func TestBadMessages(t *testing.T) {
	onBench(t, func(c *Config) { c.MaxMessage = 40 }, func(b *bench) {
		for _, body := range []string{"", "rubbish", `{"Dockercmd":"stop"}`, strings.Repeat(" ", 41) + "{}"} {
			b.send(body, "", false, body).want(intake.DeadLetter, event.ReasonInvalid)
		}
		if r := b.result(); r.Status != event.Refused || r.Error == "" || r.Job == "" {
			t.Errorf("result %+v", r)
		}
	})
}

// TestSlowReader lets standard output stand still: the exit must wait for it, and nothing be lost.
func TestSlowReader(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.record.block = make(chan struct{})
		d := b.send("m", "id", false, echo)
		time.Sleep(time.Hour)
		d.unsettled()
		close(b.record.block)
		synctest.Wait()
		d.want(intake.Ack, "")
		if r := b.result(); r.StdoutBytes != 3 || r.Incomplete {
			t.Errorf("result %+v", r)
		}
	})
}

func TestVerdicts(t *testing.T) {
	for s, want := range map[event.Status]intake.Verdict{event.Succeeded: intake.Ack, event.Failed: intake.Ack, event.Refused: intake.DeadLetter, event.Errored: intake.DeadLetter, "": intake.DeadLetter} {
		if got := verdict(&event.Result{Status: s}); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
}

// TestDeadLetterSentAgain: a dead letter that a person, or a shovel, sends again is a job of its own, also
// while the first is still being settled. Only what stood in the queue before the copy was stored is
// settled with it.
func TestDeadLetterSentAgain(t *testing.T) {
	for _, tt := range []struct {
		name, fails string
		fence       []error
	}{
		{"before the fence", "create", []error{nil}},
		{"behind an ack that may be lost", "create", []error{intake.ErrDeliveryLost}},
		{"before the container is gone", "start", []error{nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				b.stores = true
				held := make(chan struct{})
				b.docker.before[tt.fails] = []error{dockerapi.ErrInvalid}
				b.beforeFence = func() { <-held }
				b.fences = tt.fence
				first := b.send("first", "id", false, echo)
				b.fences, b.beforeFence = nil, nil
				again := b.send("again", "id", false, echo)
				close(held)
				synctest.Wait()
				if first.copies != 1 || again.copies != 0 {
					t.Errorf("%d and %d dead letters, want 1 and 0", first.copies, again.copies)
				}
				again.want(intake.Ack, "")
				if b.record.output["web/stdout"] != "hi\n" || len(b.record.results) != 2 {
					t.Errorf("not run: output %q, %d results", b.record.output, len(b.record.results))
				}
				if calls := b.docker.did(); tt.fails == "start" && slices.Index(calls[slices.Index(calls, "remove web"):], "create web") < 0 {
					t.Errorf("the second began before the first had removed its container: %q", calls)
				}
				if n := b.pool.jobs.Size().Tasks; n != 0 {
					t.Errorf("%d tasks are left", n)
				}
			})
		})
	}
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("marked as redelivered, the first's ack lost: %v", lost), func(t *testing.T) {
			onBench(t, nil, func(b *bench) { // another daemon had the copy, and gave it back
				b.stores = true
				b.docker.before["create"] = []error{dockerapi.ErrInvalid}
				held := make(chan struct{})
				if lost {
					b.fences = []error{intake.ErrDeliveryLost}
				} else {
					b.beforeFence = func() { <-held }
				}
				first := b.send("first", "id", false, echo)
				b.fences, b.beforeFence = nil, nil
				if lost {
					first.lose()
					time.Sleep(24 * time.Hour)
				}
				b.copy = "copy-1"
				again := b.send("again", "id", true, echo)
				close(held)
				synctest.Wait()
				again.want(intake.Ack, "")
				if b.record.output["web/stdout"] != "hi\n" {
					t.Error("acked, and not run")
				}
				b.send("settled lately", "id", true, echo).want(intake.Ack, "")
				if len(b.record.results) != 2 {
					t.Errorf("%d results", len(b.record.results))
				}
			})
		})
	}
	t.Run("a third does not find the container of the first", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.stores = true
			held := make(chan struct{})
			b.docker.before["start"] = []error{dockerapi.ErrInvalid}
			b.beforeFence = func() { <-held }
			b.send("first", "id", false, wait)
			b.beforeFence = nil
			second := b.send("second", "id", false, wait)
			b.pool.engine.Lost(errCut)
			synctest.Wait()
			second.want(intake.Requeue, "")
			time.Sleep(time.Second) // the engine answers again
			third := b.send("third", "id", true, wait)
			close(held)
			time.Sleep(time.Minute)
			synctest.Wait()
			third.unsettled()
			b.docker.named(t, "web").exit(0)
			synctest.Wait()
			third.want(intake.Ack, "")
		})
	})
	t.Run("does not hold a slot while it waits", func(t *testing.T) {
		onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
			b.stores = true
			held := make(chan struct{})
			b.docker.before["create"] = []error{dockerapi.ErrInvalid}
			b.beforeStore = func() { <-held }
			b.send("first", "id", false, named("aa"))
			b.beforeStore = nil
			b.send("again", "id", false, named("aa"))
			b.send("other", "o", false, strings.Replace(echo, "web", "oo", 1)).want(intake.Ack, "")
			close(held)
			synctest.Wait()
			b.docker.named(t, "aa").exit(0)
		})
	})
	t.Run("not valid, twice", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.stores = true
			held := make(chan struct{})
			b.beforeFence = func() { <-held }
			b.send("first", "id", false, "rubbish")
			b.beforeFence = nil
			again := b.send("again", "id", false, "rubbish")
			close(held)
			synctest.Wait()
			if again.want(intake.Ack, event.ReasonInvalid); again.copies != 1 {
				t.Errorf("sent again, and %d dead letters", again.copies)
			}
		})
	})
}

// TestLostDeliveryIsNoDeadLetter: a message that was lost with its connection may have been carried out by
// another process, as the container's absence shows.
func TestLostDeliveryIsNoDeadLetter(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.stores = true
		d := b.send("m", "id", false, wait)
		d.lose()
		b.docker.die()
		b.docker.mu.Lock()
		clear(b.docker.byID)
		b.docker.mu.Unlock()
		b.docker.revive()
		time.Sleep(time.Hour)
		if r := b.result(); r.Reason != event.ReasonNoSuchContainer {
			t.Errorf("result %+v", r)
		}
		if d.copies != 0 {
			t.Errorf("%d dead letters of a message that somebody else has", d.copies)
		}
	})
}

// TestStoreLosesDelivery: a message without an id whose connection ends while its dead letter waits for the
// broker is one job when it comes again.
func TestStoreLosesDelivery(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.stores = true
		held := make(chan struct{})
		b.beforeStore = func() { <-held }
		first := b.send("first", "", false, "rubbish")
		b.beforeStore = nil
		first.lose()
		again := b.send("again", "", true, "rubbish")
		close(held)
		synctest.Wait()
		again.want(intake.Ack, event.ReasonInvalid)
		if first.copies+again.copies != 1 || len(b.record.results) != 1 {
			t.Errorf("%d dead letters, %d results, want one of each", first.copies+again.copies, len(b.record.results))
		}
	})
}

// TestStoreHoldsDelivery: an equal message is not taken for the one whose dead letter waits for the broker.
func TestStoreHoldsDelivery(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.stores = true
		held := make(chan struct{})
		b.beforeStore = func() { <-held }
		first := b.send("first", "", false, "rubbish")
		b.beforeStore = nil
		equal := b.send("equal", "", true, "rubbish")
		close(held)
		synctest.Wait()
		if first.copies != 1 || equal.copies != 1 {
			t.Errorf("%d and %d dead letters, want one of each", first.copies, equal.copies)
		}
	})
}

// TestGoesBackBehind: what stands behind a command that was given back goes back too, or it would overtake it.
func TestGoesBackBehind(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
		b.send("first", "1", false, named("other"))
		run := b.send("run", "2", false, named("web"))
		early := b.send("early", "3", false, `{"Dockercmd":"stop","Container":"web"}`)
		run.hold = make(chan struct{})
		run.lose()
		b.docker.named(t, "other").exit(0)
		synctest.Wait() // the run is being given back
		late := b.send("late", "4", false, `{"Dockercmd":"stop","Container":"web"}`)
		close(run.hold)
		synctest.Wait()
		early.want(intake.Requeue, "")
		late.want(intake.Requeue, "")
	})
}

// TestDetachedIsNoOrphan: the container of a detached run without message_id stays when its message is
// settled, and belongs to no other message.
func TestDetachedIsNoOrphan(t *testing.T) {
	const body = `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Detach":true,"Remove":true}}`
	onBench(t, nil, func(b *bench) {
		b.leave("dispatch-0123456789ab", "running", identity.Of(intake.Job{Queue: "q", Body: []byte(body)}).Labels(true))
		b.send("m", "", true, body).want(intake.Ack, "")
		if b.docker.count() != 2 {
			t.Error("the container of a settled message was taken for this one's")
		}
	})
}

// TestPanicInOutput: a panic behind the goroutine that copies output ends the job, not the program.
func TestPanicInOutput(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.record.panics = true
		b.send("m", "id", false, echo).want(intake.DeadLetter, event.ReasonInternal)
		b.record.panics = false
		b.send("next", "", false, plain).unsettled()
		for _, c := range b.docker.all() {
			c.exit(0)
		}
	})
}

// TestNobodyReads: a job whose result nobody sees is not settled, and its container stays.
func TestNobodyReads(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.record.gone = errors.New("the reader has gone")
		d := b.send("m", "id", false, echo)
		d.unsettled()
		if b.docker.count() != 1 {
			t.Error("the container is gone")
		}
		b.close()
		if left := <-b.done; left != 1 {
			t.Errorf("%d jobs left, want 1", left)
		}
	})
	onBench(t, nil, func(b *bench) {
		b.record.unwritable = errors.New("no space left on device")
		b.send("m", "id", false, echo).want(intake.Ack, "")
		if r := b.result(); !r.Incomplete {
			t.Errorf("result %+v: output is missing, and it does not say so", r)
		}
	})
}

// TestSlowStart: between a create and a start that comes late another process may have found the container
// and run it.
func TestSlowStart(t *testing.T) {
	for _, lost := range []bool{true, false} {
		onBench(t, nil, func(b *bench) {
			b.docker.before["attach"] = []error{dockerapi.ErrTemporary} // tried again in a while
			if lost {
				b.pool.carrier.RetryFirst = time.Millisecond
			} else {
				b.pool.carrier.RetryFirst = 10 * time.Second
			}
			d := b.send("m", "id", false, echo)
			if lost {
				d.lose()
			}
			c := b.docker.named(t, "web")
			b.docker.mu.Lock()
			c.State.StartedAt, c.State.FinishedAt, c.State.Status, c.State.ExitCode = time.Now(), time.Now(), "exited", new(0)
			c.log = []chunk{{"stdout", "hi\n"}}
			b.docker.touch()
			b.docker.mu.Unlock()
			time.Sleep(time.Minute)
			if slices.Contains(b.docker.did(), "start") {
				t.Errorf("delivery lost: %v: started again: %q", lost, b.docker.did())
			}
			if r := b.result(); r.Stdout != "hi\n" || r.Status != event.Succeeded {
				t.Errorf("result %+v", r)
			}
		})
	}
}

// stalls is an engine whose create takes a minute, in which another process finds the container, runs it
// and ends.
type stalls struct{ *fakeDocker }

func (s stalls) CreateContainer(ctx context.Context, name string, cfg dockerapi.ContainerConfig) (dockerapi.Created, error) {
	created, err := s.fakeDocker.CreateContainer(ctx, name, cfg)
	time.Sleep(time.Minute)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.byID[created.ID]
	c.State.StartedAt, c.State.FinishedAt, c.State.Status, c.State.ExitCode = time.Now(), time.Now(), "exited", new(0)
	c.log = []chunk{{"stdout", "hi\n"}}
	return created, err
}

func TestSlowCreate(t *testing.T) {
	onBench(t, func(c *Config) { c.Docker = stalls{c.Docker.(*fakeDocker)} }, func(b *bench) {
		d := b.post("m", "id", false, echo)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		d.want(intake.Ack, "")
		if slices.Contains(b.docker.did(), "start") {
			t.Errorf("started again: %q", b.docker.did())
		}
	})
}

// TestStopIsFencedFirst: what comes next on the name waits until the stop's ack cannot be lost any more: else
// it might be stopped by it, in another process.
func TestStopIsFencedFirst(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		held := make(chan struct{})
		b.send("run", "1", false, wait)
		b.beforeFence = func() { <-held }
		b.send("stop", "2", false, `{"Dockercmd":"stop","Container":"web"}`)
		b.beforeFence = nil
		b.send("next", "3", false, strings.Replace(echo, `"hi"`, `"next"`, 1))
		if b.record.output["web/stdout"] != "" {
			t.Error("the next command began before the stop was settled for sure")
		}
		close(held)
		time.Sleep(time.Minute)
		synctest.Wait()
		if b.record.output["web/stdout"] != "next\n" {
			t.Errorf("output %q", b.record.output)
		}
	})
}

// TestCopyHasItsOwnContainer: a dead letter that is sent again does not take the container that was kept of it
// for its own.
func TestCopyHasItsOwnContainer(t *testing.T) {
	const body = `{"Dockercmd":"run","Image":"busybox","Cmd":["echo","again"],"Options":{"Attach":"STDOUT"}}`
	for _, redelivered := range []bool{false, true} {
		onBench(t, nil, func(b *bench) {
			first := identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(body)})
			b.leave(first.ContainerName(""), "exited", first.Labels(false))
			b.copy = "copy-1"
			b.send("m", "id", redelivered, body).want(intake.Ack, "")
			if r := b.result(); r.Adopted || r.Stdout != "again\n" || b.docker.count() != 2 {
				t.Errorf("result %+v, %d containers", r, b.docker.count())
			}
		})
	}
}

// A dead letter without a message_id that was sent again twice, as a killed replay does, runs once; two letters of
// equal messages run each.
func TestLetterSentTwice(t *testing.T) {
	const unnamed = `{"Dockercmd":"run","Image":"busybox","Cmd":["echo","hi"],"Options":{"Attach":["STDOUT"],"Remove":true}}`
	onBench(t, nil, func(b *bench) {
		b.copy = "one"
		b.send("first", "", false, unnamed).want(intake.Ack, "")
		b.send("again", "", false, unnamed).want(intake.Ack, "")
		b.copy = "two"
		b.send("another", "", false, unnamed).want(intake.Ack, "")
		if len(b.record.results) != 2 {
			t.Errorf("%d results, want 2: %+v", len(b.record.results), b.record.results)
		}
	})
}

// TestLingers: the container of a settled job stays for a while, in nobody's way, so that the message finds it
// where a broker that was killed has forgotten the ack.
func TestLingers(t *testing.T) {
	t.Run("removed after a while", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.pool.lingers = live.Lingering
			b.send("m", "id", false, echo).want(intake.Ack, "")
			time.Sleep(live.Lingering - time.Millisecond)
			if b.docker.count() != 1 {
				t.Error("removed too early")
			}
			time.Sleep(time.Second)
			if b.docker.count() != 0 {
				t.Error("not removed")
			}
		})
	})
	t.Run("the connection ends meanwhile", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.pool.lingers = live.Lingering
			b.alives = []error{intake.ErrDeliveryLost}
			b.send("m", "id", false, echo).want(intake.Ack, "")
			b.alives = nil
			time.Sleep(time.Hour)
			if b.docker.count() != 1 {
				t.Error("removed, though the ack may be lost")
			}
			b.send("again", "id", true, echo).want(intake.Ack, "")
			time.Sleep(time.Minute)
			if b.docker.count() != 0 || len(b.record.results) != 1 {
				t.Errorf("%d containers, %d results", b.docker.count(), len(b.record.results))
			}
		})
	})
	t.Run("its name is free", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.pool.lingers = live.Lingering
			begin := time.Now()
			for i := range 5 {
				b.send(fmt.Sprint(i), fmt.Sprint(i), false, echo).want(intake.Ack, "")
				b.record.output = nil
			}
			if took := time.Since(begin); took > 100*time.Millisecond {
				t.Errorf("five runs of one name took %v", took)
			}
			time.Sleep(time.Minute)
			if b.docker.count() != 0 {
				t.Errorf("%d containers left", b.docker.count())
			}
		})
	})
	t.Run("not to be started", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.pool.lingers = live.Lingering
			b.send("run", "id", false, echo).want(intake.Ack, "")
			id := b.result().ContainerID
			for _, ref := range []string{"web", id} {
				for _, verb := range []string{"start", "restart"} {
					b.send(verb+ref, "", false, fmt.Sprintf(`{"Dockercmd": %q, "Container": %q}`, verb, ref)).want(intake.Ack, event.ReasonNoSuchContainer)
				}
			}
			b.record.output = nil
			b.send("next", "", false, `{"Dockercmd": "create", "Image": "alpine", "Options": {"Name": "web"}}`).want(intake.Ack, "")
			b.send("its start", "", false, `{"Dockercmd": "start", "Container": "web"}`).want(intake.Ack, "")
		})
	})
	t.Run("stopped meanwhile", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.pool.lingers = live.Lingering
			b.send("m", "id", false, echo).want(intake.Ack, "")
			begin := time.Now()
			b.close()
			if left := <-b.done; left != 0 || b.docker.count() != 0 || time.Since(begin) > 0 {
				t.Errorf("%d jobs, %d containers left after %v", left, b.docker.count(), time.Since(begin))
			}
		})
	})
}

// TestWaitingIsRequeuedAtTheEnd: what waits when jobs are left as they are is given back, and not only when its connection ends.
func TestWaitingIsRequeuedAtTheEnd(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
		b.send("1", "1", false, named("aa"))
		d := b.send("2", "2", false, named("bb"))
		b.stop()
		synctest.Wait()
		b.close()
		<-b.done
		d.want(intake.Requeue, "")
	})
}
