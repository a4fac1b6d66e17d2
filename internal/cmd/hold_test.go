package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// broker hands messages over as a queue does: so many at a time, the next when one is settled.
func (b *bench) broker(control bool, places int, bodies []string) []*delivery {
	free := make(chan struct{}, places)
	for range places {
		free <- struct{}{}
	}
	b.change = func(j *intake.Job) {
		j.Control = control
		settle := j.Settle
		j.Settle = func(ctx context.Context, v intake.Verdict, r event.Result) error {
			defer func() { free <- struct{}{} }()
			return settle(ctx, v, r)
		}
	}
	defer func() { b.change = nil }()
	var sent []*delivery
	for i, body := range bodies {
		synctest.Wait()
		if len(free) == 0 {
			time.Sleep(soon) // what has waited so long behind another command is one that holds
			synctest.Wait()
		}
		select {
		case <-free:
		default:
			b.t.Fatalf("message %d of %d is not handed over: all places are held", i+1, len(bodies))
		}
		sent = append(sent, b.post(fmt.Sprint(i), "", false, body))
	}
	time.Sleep(soon)
	synctest.Wait()
	return sent
}

// TestKillAmidStop: a stop that takes its time keeps nobody from ending the container at once.
func TestKillAmidStop(t *testing.T) {
	for _, control := range []bool{false, true} {
		for _, end := range []string{`{"Dockercmd":"kill","Container":"deaf"}`, `{"Dockercmd":"stop","Container":"deaf","Options":{"Time":0}}`} {
			onBench(t, nil, func(b *bench) {
				b.leave("deaf", "running", nil)
				b.change = func(j *intake.Job) { j.Control = control }
				stop := b.send("stop", "", false, `{"Dockercmd":"stop","Container":"deaf","Options":{"Time":86400}}`)
				stop.unsettled()
				b.send("end", "", false, end).want(intake.Ack, "")
				stop.want(intake.Ack, "")
			})
		}
	}
}

// TestStopBehindRestart: commands that wait behind one that takes its time, and are refused for that, do not take a stop
// along.
func TestStopBehindRestart(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places, c.Policy = 2, 4, withPolicy(`{"Trust": true}`) }, func(b *bench) {
		c := b.leave("deaf", "running", nil)
		restart := b.send("restart", "", false, `{"Dockercmd":"restart","Container":"deaf","Options":{"Time":86400}}`)
		var refused []*delivery
		for range 5 {
			refused = append(refused, b.send("inspect", "", false, `{"Dockercmd":"inspect","Container":"deaf"}`))
		}
		stop := b.send("stop", "", false, `{"Dockercmd":"stop","Container":"deaf","Options":{"Time":0}}`)
		time.Sleep(2 * soon)
		synctest.Wait()
		if n := len(slices.DeleteFunc(refused, func(d *delivery) bool { return d.reason != event.ReasonConflict })); n < 4 {
			t.Errorf("%d were refused", n)
		}
		restart.unsettled()
		stop.unsettled()
		c.exit(0)
		time.Sleep(soon)
		restart.want(intake.Ack, "")
		stop.want(intake.Ack, "")
	})
}

// TestStopBehindWaits: however many commands wait for something else to end, a stop is taken.
func TestStopBehindWaits(t *testing.T) {
	const keeps = `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Attach":["STDOUT"]}}`
	for _, tt := range []struct {
		name            string
		control         bool
		places, waiting int
		body            string
	}{
		{"wait", false, 20, 30, `{"Dockercmd":"wait","Container":"web"}`},
		{"wait by the control queue", true, 250, 300, `{"Dockercmd":"wait","Container":"web"}`},
		{"followed logs", false, 20, 30, `{"Dockercmd":"logs","Container":"web","Options":{"Follow":true}}`},
		{"followed logs by the control queue", true, 250, 300, `{"Dockercmd":"logs","Container":"web","Options":{"Follow":true}}`},
		{"exec by the control queue", true, 250, 300, `{"Dockercmd":"exec","Container":"web","Cmd":["sleep"]}`},
		{"patient stops", true, 250, 300, `{"Dockercmd":"stop","Container":"deaf","Options":{"Time":86400}}`},
		{"plain stops of a patient container", false, 20, 30, `{"Dockercmd":"stop","Container":"slow"}`},
		{"behind the restart of one that is never killed", false, 20, 30, `{"Dockercmd":"inspect","Container":"never"}`},
		{"behind a patient stop", true, 250, 300, `{"Dockercmd":"inspect","Container":"deaf"}`},
		{"for a job that waits", true, 250, 300, `{"Dockercmd":"inspect","Job":"later"}`},
		{"of few places", false, 2, 3, `{"Dockercmd":"wait","Container":"web"}`},
		{"of one place", false, 1, 2, `{"Dockercmd":"wait","Container":"web"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBench(t, func(c *Config) { c.Concurrency, c.Places, c.ControlPlaces = 1, tt.places, tt.places }, func(b *bench) {
				run := b.send("run", "one", false, keeps)
				later := b.send("run", "later", false, sleeper)
				b.leave("deaf", "running", nil)
				hour, never := 3600, -1
				b.leave("slow", "running", nil).StopTimeout = &hour
				b.leave("never", "running", nil).StopTimeout = &never
				bodies := []string{}
				for range tt.waiting {
					bodies = append(bodies, tt.body)
				}
				if strings.Contains(tt.body, "deaf") {
					bodies[0] = `{"Dockercmd":"stop","Container":"deaf","Options":{"Time":86400}}`
				}
				if strings.Contains(tt.body, "never") {
					bodies[0] = `{"Dockercmd":"restart","Container":"never"}`
				}
				sent := b.broker(tt.control, tt.places, append(bodies, `{"Dockercmd":"stop","Container":"web"}`))
				sent[tt.waiting].want(intake.Ack, "")
				run.want(intake.Ack, "")
				refused := 0
				for _, d := range sent {
					if d.reason == event.ReasonConflict {
						refused++
					}
				}
				room, most := tt.places-1, tt.places-1
				if !tt.control { // a run has its slot
					room, most = room-1, max(tt.places/2, tt.places-2)
				}
				if !strings.Contains(tt.body, `"stop"`) {
					most = max(1, min(tt.places/2, most-1))
				}
				want := tt.waiting - max(0, min(room, most))
				if refused != want {
					t.Errorf("%d were refused; want %d", refused, want)
				}
				b.record.mu.Lock()
				for _, r := range b.record.results {
					if r.Reason == event.ReasonConflict && !strings.Contains(r.Error, fmt.Sprintf("delivers %d messages at a time", tt.places)) {
						t.Errorf("result %+v", r)
					}
				}
				b.record.mu.Unlock()
				b.endExecs(b.docker.named(t, "web"))
				for _, name := range []string{"deaf", "slow", "never"} {
					b.docker.named(t, name).exit(0)
				}
				time.Sleep(execPoll)
				// Those that have ended make room.
				b.command(`{"Dockercmd":"stop","Job":"later"}`).want(intake.Ack, "")
				later.want(intake.Ack, "")
				if n := b.pool.holders.n.Load() + b.pool.controlHolders.n.Load(); n != 0 {
					t.Errorf("%d are still counted", n)
				}
			})
		})
	}
}

// TestSlowIsNotRefused: what waits behind a command that is merely slow is not one too many, however long that takes.
func TestSlowIsNotRefused(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places, c.ControlPlaces = 1, 5, 5 }, func(b *bench) {
		b.docker.images, b.docker.holdPull = map[string]bool{}, make(chan struct{})
		sent := []*delivery{b.send("run", "", false, `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep"],"Options":{"Name":"web","Detach":true}}`)}
		for range 3 {
			sent = append(sent, b.send("inspect", "", false, `{"Dockercmd":"inspect","Container":"web"}`))
		}
		time.Sleep(time.Hour)
		for _, d := range sent {
			d.unsettled()
		}
		close(b.docker.holdPull)
		time.Sleep(time.Minute)
		for _, d := range sent {
			d.want(intake.Ack, "")
		}
	})
}

// TestHoldingEnds: a wait and a followed log last as long as a run may, and no longer.
func TestHoldingEnds(t *testing.T) {
	for _, body := range []string{`{"Dockercmd":"wait","Container":"web"}`, `{"Dockercmd":"logs","Container":"web","Options":{"Follow":true}}`} {
		for _, away := range []bool{false, true} {
			onBench(t, func(c *Config) { c.Timeout, c.Policy = time.Minute, withPolicy(`{"Trust": true}`) }, func(b *bench) {
				c := b.leave("web", "running", nil)
				d := b.send("m", "id", false, body)
				time.Sleep(time.Minute - time.Second)
				d.unsettled()
				if away {
					b.docker.die()
				}
				time.Sleep(2 * time.Second)
				d.want(intake.Ack, event.ReasonTimeout)
				if r := b.result(); r.Status != event.Failed || r.ExitCode != nil || !strings.Contains(r.Error, "1m0s") {
					t.Errorf("result %+v", r)
				}
				b.docker.revive()
				c.exit(0)
			})
		}
	}
	onBench(t, func(c *Config) { c.Timeout = time.Minute }, func(b *bench) { // the container ends in time
		c := b.leave("web", "running", nil)
		d := b.send("m", "id", false, `{"Dockercmd":"wait","Container":"web"}`)
		time.Sleep(time.Minute / 2)
		c.exit(3)
		synctest.Wait()
		d.want(intake.Ack, "")
	})
}

// TestRedeployIsNotRefused: stop, remove and run of one name, with a stop that takes hours and the settings that are the default.
func TestRedeployIsNotRefused(t *testing.T) {
	for _, body := range []string{`{"Dockercmd":"stop","Container":"web","Options":{"Time":3600}}`, `{"Dockercmd":"stop","Container":"web"}`} {
		t.Run("", func(t *testing.T) {
			onBench(t, func(c *Config) { c.Concurrency, c.Places = 16, 20 }, func(b *bench) {
				c := b.leave("web", "running", nil)
				c.StopTimeout = new(3600) // the fake's stop waits for the end then
				b.send("stop", "", false, body)
				rm := b.send("rm", "", false, `{"Dockercmd":"rm","Container":"web"}`)
				run := b.send("run", "m", false, echo)
				time.Sleep(2 * time.Minute)
				c.exit(143)
				time.Sleep(time.Minute)
				rm.want(intake.Ack, "")
				run.want(intake.Ack, "")
			})
		})
	}
}

// TestPlainStopsAreNotRefused: plain stops of containers with a stop timeout of their own, with the settings that are the default.
func TestPlainStopsAreNotRefused(t *testing.T) {
	for _, ahead := range []int{4, 1} {
		onBench(t, func(c *Config) { c.Concurrency, c.Places = 16, 16+ahead }, func(b *bench) {
			two := 3600
			for _, n := range []string{"a", "b", "c"} {
				b.leave(n, "running", nil).StopTimeout = &two
			}
			for _, n := range []string{"a", "b", "c"} {
				b.send(n, "", false, `{"Dockercmd":"stop","Container":"`+n+`"}`).unsettled()
			}
			for _, n := range []string{"a", "b", "c"} {
				b.docker.named(t, n).exit(0)
			}
		})
	}
}

// TestWaitOfOneAhead: a wait is not refused where one message is taken ahead.
func TestWaitOfOneAhead(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places = 16, 17 }, func(b *bench) {
		c := b.leave("a", "running", nil)
		b.send("w", "", false, `{"Dockercmd":"wait","Container":"a"}`).unsettled()
		c.exit(0)
	})
}

// TestRunHoldsNoLonger: a run that was behind a stop for a minute does not hold while it runs: it has a slot.
func TestRunHoldsNoLonger(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places = 1, 5 }, func(b *bench) {
		c := b.leave("web", "running", nil)
		b.send("stop", "", false, `{"Dockercmd":"stop","Container":"web","Options":{"Time":86400}}`)
		b.send("run", "m", false, `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"web","Attach":["STDOUT"]}}`)
		time.Sleep(soon + time.Second)
		b.docker.mu.Lock()
		delete(b.docker.byID, c.ID) // gone with its end (AutoRemove)
		c.end(0)
		b.docker.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		n := b.docker.named(t, "web")
		if h := b.pool.holders.n.Load(); n.State.Running && h != 0 {
			t.Errorf("the run that runs, and has its own place, counts as %d that hold", h)
		}
		n.exit(0)
	})
}

// TestNoLimitBehindStop: what was behind a stop for a minute has no time limit of its own for that.
func TestNoLimitBehindStop(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places, c.Timeout = 16, 26, 10*time.Second }, func(b *bench) {
		c := b.leave("web", "running", nil)
		b.docker.images, b.docker.holdPull = map[string]bool{}, make(chan struct{})
		b.send("stop", "", false, `{"Dockercmd":"stop","Container":"web","Options":{"Time":3600}}`)
		d := b.send("create", "m", false, `{"Dockercmd":"create","Image":"busybox","Options":{"Name":"web"}}`)
		time.Sleep(2 * time.Minute)
		b.docker.mu.Lock()
		delete(b.docker.byID, c.ID)
		c.end(0)
		b.docker.mu.Unlock()
		time.Sleep(30 * time.Second) // the pull takes that long
		close(b.docker.holdPull)
		time.Sleep(time.Minute)
		d.want(intake.Ack, "")
	})
}

// A run that was behind a stop for a minute does not hold while it waits for a slot: it stands behind nothing then.
func TestRunHoldsNotForSlot(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places, c.Policy = 1, 5, withPolicy(`{"Trust": true}`) }, func(b *bench) {
		b.send("busy", "busy", false, named("busy"))
		c := b.leave("web", "running", nil)
		c.config.Cmd = []string{"idle"}
		b.send("stop", "", false, `{"Dockercmd":"stop","Container":"web","Options":{"Time":86400}}`)
		b.send("run", "m", false, echo)
		time.Sleep(soon + time.Second)
		b.docker.mu.Lock()
		delete(b.docker.byID, c.ID)
		c.end(0)
		b.docker.mu.Unlock()
		time.Sleep(time.Hour)
		if h := b.pool.holders.n.Load(); h != 0 {
			t.Errorf("a run that waits for a slot only counts as %d that hold", h)
		}
		b.docker.named(t, "busy").exit(0)
		synctest.Wait()
	})
}

// TestStopsBesideRuns: stops that take their time leave the runs the places that --concurrency promises, or at least a stop one of them.
func TestStopsBesideRuns(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places, c.Policy = 2, 6, withPolicy(`{"Trust": true}`) }, func(b *bench) {
		var bodies []string
		for i := range 5 {
			b.leave(fmt.Sprint("deaf", i), "running", nil)
			bodies = append(bodies, fmt.Sprintf(`{"Dockercmd":"stop","Container":"deaf%d","Options":{"Time":86400}}`, i))
		}
		for _, name := range []string{"one", "two"} {
			bodies = append(bodies, fmt.Sprintf(`{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":%q,"Attach":["STDOUT"]}}`, name))
		}
		b.broker(false, 6, append(bodies, `{"Dockercmd":"stop","Container":"one"}`))
		synctest.Wait()
	})
}
