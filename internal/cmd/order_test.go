package cmd

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A command that ends before its turn came, refused or cancelled, does not let those behind it come before what it
// stood behind itself.
func TestOrderBehindUnbegun(t *testing.T) {
	const restart = `{"Dockercmd":"restart","Container":"deaf","Options":{"Time":86400}}`
	const inspect = `{"Dockercmd":"inspect","Container":"deaf"}`
	const start = `{"Dockercmd":"start","Container":"deaf"}`
	t.Run("refused", func(t *testing.T) {
		onBench(t, func(c *Config) { c.Concurrency, c.Places, c.Policy = 1, 5, withPolicy(`{"Trust": true}`) }, func(b *bench) {
			c := b.leave("deaf", "running", nil)
			first := b.send("first", "", false, restart)
			second := b.send("second", "", false, inspect)
			time.Sleep(time.Second)
			refused := b.send("refused", "", false, inspect)
			time.Sleep(soon + time.Second)
			first.unsettled()
			second.unsettled()
			refused.want(intake.DeadLetter, event.ReasonConflict)
			behind := b.send("behind", "", false, start)
			behind.unsettled()
			kill := b.send("kill", "", false, `{"Dockercmd":"kill","Container":"deaf"}`)
			kill.unsettled() // only amid a stop
			c.exit(0)
			synctest.Wait()
			for _, d := range []*delivery{first, second, behind} {
				d.want(intake.Ack, "")
			}
		})
	})
	t.Run("kill amid a stop", func(t *testing.T) {
		onBench(t, func(c *Config) { c.ControlPlaces = 3 }, func(b *bench) {
			b.leave("deaf", "running", nil)
			b.change = func(j *intake.Job) { j.Control = true }
			const stop = `{"Dockercmd":"stop","Container":"deaf","Options":{"Time":86400}}`
			for range 2 {
				b.send("stop", "", false, stop).unsettled()
			}
			b.send("refused", "", false, stop).want(intake.DeadLetter, event.ReasonConflict)
			b.send("kill", "", false, `{"Dockercmd":"kill","Container":"deaf"}`).want(intake.Ack, "")
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
			busy := b.send("busy", "", false, `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep"],"Options":{"Name":"busy","Attach":["STDOUT"]}}`)
			waits := b.send("waits", "waits", false, echo)
			cancelled := b.send("cancelled", "cancelled", false, echo)
			behind := b.send("behind", "", false, `{"Dockercmd":"stop","Container":"web"}`)
			b.command(`{"Dockercmd":"stop","Job":"cancelled"}`).want(intake.Ack, "")
			cancelled.want(intake.Ack, event.ReasonCancelled)
			behind.unsettled()
			b.docker.named(t, "busy").exit(0)
			synctest.Wait()
			busy.want(intake.Ack, "")
			waits.want(intake.Ack, "")
		})
	})
}

// TestRefusedStopLetsNobodyPast: a stop that is refused when its container is known does not let what is behind it past the stop before.
func TestRefusedStopLetsNobodyPast(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places, c.Policy = 1, 4, withPolicy(`{"Trust": true}`) }, func(b *bench) {
		hour := 3600
		c := b.leave("slow", "running", nil)
		c.StopTimeout, c.config.Cmd = &hour, []string{"idle"}
		const stop = `{"Dockercmd":"stop","Container":"slow"}`
		first := b.send("first", "", false, stop)
		second := b.send("second", "", false, stop)
		third := b.send("third", "", false, stop) // one too many
		third.want(intake.DeadLetter, event.ReasonConflict)
		start := b.send("start", "", false, `{"Dockercmd":"start","Container":"slow"}`)
		first.unsettled()
		second.unsettled()
		start.unsettled()
		c.exit(0)
		synctest.Wait()
	})
}

// TestRefusedLeavesNothing: what was refused behind a command at work is not kept for as long as that works.
func TestRefusedLeavesNothing(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places = 1, 5 }, func(b *bench) {
		c := b.leave("deaf", "running", nil)
		b.send("first", "", false, `{"Dockercmd":"restart","Container":"deaf","Options":{"Time":86400}}`)
		w := b.send("w", "", false, `{"Dockercmd":"wait","Container":"deaf"}`)
		w.unsettled()
		for i := range 2000 {
			b.send(fmt.Sprint(i), "", false, `{"Dockercmd":"wait","Container":"deaf"}`).want(intake.DeadLetter, event.ReasonConflict)
		}
		if n := b.pool.jobs.Size().Orders; n > 100 {
			t.Errorf("%d orders are kept", n)
		}
		c.exit(0)
	})
}

// TestRefusedAmongLost: a task that is refused behind a command at work, and has to go back, waits for its turn to.
func TestRefusedAmongLost(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places = 1, 5 }, func(b *bench) {
		c := b.leave("deaf", "running", nil)
		b.send("first", "", false, `{"Dockercmd":"restart","Container":"deaf","Options":{"Time":86400}}`)
		b.send("second", "", false, `{"Dockercmd":"inspect","Container":"deaf"}`)
		time.Sleep(time.Second)
		var asked atomic.Int64
		b.change = func(j *intake.Job) {
			lost := j.Lost
			j.Lost = func() bool {
				return lost() && asked.Add(1) < 100_000
			}
		}
		third := b.send("third", "", false, `{"Dockercmd":"inspect","Container":"deaf"}`)
		third.lose() // the broker's connection breaks
		time.Sleep(soon + time.Second)
		if asked.Load() > 1000 {
			t.Errorf("spins")
		}
		c.exit(0)
	})
}

// Two refused stops behind each other, behind a stop at work: a kill behind them goes on amid that stop.
func TestKillBehindTwoRefused(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places, c.Policy = 1, 4, withPolicy(`{"Trust": true}`) }, func(b *bench) {
		c := b.leave("deaf", "running", nil)
		const stop = `{"Dockercmd":"stop","Container":"deaf","Options":{"Time":86400}}`
		b.send("first", "", false, stop).unsettled()
		b.send("second", "", false, stop).unsettled()
		var lost atomic.Bool
		lost.Store(true) // the connection is broken, and is back soon
		change := b.change
		b.change = func(j *intake.Job) { j.Lost = lost.Load }
		third := b.send("third", "", false, stop) // one too many
		time.Sleep(100 * time.Millisecond)
		fourth := b.send("fourth", "", false, stop)
		b.change = change
		kill := b.send("kill", "", false, `{"Dockercmd":"kill","Container":"deaf"}`)
		lost.Store(false)
		time.Sleep(10 * time.Second)
		third.want(intake.DeadLetter, event.ReasonConflict)
		fourth.want(intake.DeadLetter, event.ReasonConflict)
		kill.want(intake.Ack, "")
		c.exit(0)
		synctest.Wait()
	})
}

// slowKill is an engine that takes a second for a signal, which the container ignores.
type slowKill struct{ container.Docker }

func (slowKill) KillContainer(context.Context, string, string) error {
	time.Sleep(time.Second)
	return nil
}

// A command of the control queue that stands behind a kill, amid a stop, waits for the stop, too.
func TestControlBehindKillAmidStop(t *testing.T) {
	onBench(t, func(c *Config) { c.Docker, c.Policy = slowKill{c.Docker}, withPolicy(`{"Trust": true}`) }, func(b *bench) {
		c := b.leave("deaf", "running", nil)
		c.config.Cmd = []string{"idle"}
		first := b.send("first", "", false, `{"Dockercmd":"stop","Container":"deaf","Options":{"Time":86400}}`)
		first.unsettled()
		kill := b.send("kill", "", false, `{"Dockercmd":"kill","Container":"deaf","Options":{"Signal":"TERM"}}`)
		start := b.command(`{"Dockercmd":"start","Container":"deaf"}`)
		start.unsettled()
		time.Sleep(2 * time.Second)
		kill.want(intake.Ack, "")
		first.unsettled()
		start.unsettled()
		c.exit(0)
		synctest.Wait()
		start.want(intake.Ack, "")
	})
}

// Kills by the control queue amid a stop that takes a day leave nothing behind.
func TestControlKillsAmidStopLeaveNothing(t *testing.T) {
	onBench(t, func(c *Config) { c.Docker, c.Policy = slowKill{c.Docker}, withPolicy(`{"Trust": true}`) }, func(b *bench) {
		c := b.leave("deaf", "running", nil)
		c.config.Cmd = []string{"idle"}
		b.send("first", "", false, `{"Dockercmd":"stop","Container":"deaf","Options":{"Time":86400}}`).unsettled()
		for range 500 {
			d := b.command(`{"Dockercmd":"kill","Container":"deaf","Options":{"Signal":"TERM"}}`)
			time.Sleep(2 * time.Second)
			d.want(intake.Ack, "")
		}
		if n := b.pool.jobs.Size().Orders; n > 10 {
			t.Errorf("%d orders are kept for kills that are done", n)
		}
		c.exit(0)
		synctest.Wait()
	})
}

// TestKillPassesCancelled: a kill by the control queue amid a long stop goes on at once, also where a run between them was
// cancelled and is not settled yet.
func TestKillPassesCancelled(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.send("run", "run", false, strings.Replace(wait, `,"Remove":true`, "", 1))
		b.send("stop", "stop", false, `{"Dockercmd":"stop","Container":"web","Options":{"Time":7200}}`)
		hold := make(chan struct{})
		b.beforeFence = func() { <-hold }
		b.send("J", "J", false, wait)
		b.beforeFence = nil
		b.send("start", "start", false, `{"Dockercmd":"start","Container":"web"}`)
		b.command(`{"Dockercmd":"stop","Job":"J"}`)
		kill := b.command(`{"Dockercmd":"kill","Container":"web"}`)
		if len(kill.verdicts) == 0 {
			t.Errorf("the kill waits: %q", b.docker.did())
		}
		close(hold)
		if c, err := b.docker.find("web"); err == nil {
			c.exit(0)
		}
		synctest.Wait()
	})
}
