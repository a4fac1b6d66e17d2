package cmd

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A command that ends before its turn came, refused or cancelled, does not let those behind it come before what it
// stood behind itself.
func TestOrderBehindUnbegun(t *testing.T) {
	const restart = `{"Dockercmd":"restart","Container":"deaf","Options":{"Time":86400}}`
	const inspect = `{"Dockercmd":"inspect","Container":"deaf"}`
	const start = `{"Dockercmd":"start","Container":"deaf"}`
	t.Run("refused", func(t *testing.T) {
		onBench(t, func(c *Config) { c.Concurrency, c.Places, c.Policy = 1, 5, &Policy{Trust: true} }, func(b *bench) {
			c := b.leave("deaf", "running", nil)
			first := b.send("first", "", false, restart)
			second := b.send("second", "", false, inspect)
			time.Sleep(time.Second)
			refused := b.send("refused", "", false, inspect)
			time.Sleep(soon + time.Second)
			first.unsettled()
			second.unsettled()
			refused.want(DeadLetter, ReasonConflict)
			behind := b.send("behind", "", false, start)
			behind.unsettled()
			kill := b.send("kill", "", false, `{"Dockercmd":"kill","Container":"deaf"}`)
			kill.unsettled() // only amid a stop
			c.exit(0)
			synctest.Wait()
			for _, d := range []*delivery{first, second, behind} {
				d.want(Ack, "")
			}
		})
	})
	t.Run("kill amid a stop", func(t *testing.T) {
		onBench(t, func(c *Config) { c.ControlPlaces = 4 }, func(b *bench) {
			b.leave("deaf", "running", nil)
			b.change = func(j *Job) { j.Control = true }
			const stop = `{"Dockercmd":"stop","Container":"deaf","Options":{"Time":86400}}`
			for range 2 {
				b.send("stop", "", false, stop).unsettled()
			}
			b.send("refused", "", false, stop).want(DeadLetter, ReasonConflict)
			b.send("kill", "", false, `{"Dockercmd":"kill","Container":"deaf"}`).want(Ack, "")
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
			busy := b.send("busy", "", false, `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep"],"Options":{"Name":"busy","Attach":["STDOUT"]}}`)
			waits := b.send("waits", "waits", false, echo)
			cancelled := b.send("cancelled", "cancelled", false, echo)
			behind := b.send("behind", "", false, `{"Dockercmd":"stop","Container":"web"}`)
			b.command(`{"Dockercmd":"stop","Job":"cancelled"}`).want(Ack, "")
			cancelled.want(Ack, ReasonCancelled)
			behind.unsettled()
			b.docker.named(t, "busy").exit(0)
			synctest.Wait()
			busy.want(Ack, "")
			waits.want(Ack, "")
		})
	})
}

// TestRefusedStopLetsNobodyPast: a stop that is refused when its container is known does not let what is behind it past the stop before.
func TestRefusedStopLetsNobodyPast(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency, c.Places, c.Policy = 1, 5, &Policy{Trust: true} }, func(b *bench) {
		hour := 3600
		c := b.leave("slow", "running", nil)
		c.StopTimeout, c.config.Cmd = &hour, []string{"idle"}
		const stop = `{"Dockercmd":"stop","Container":"slow"}`
		first := b.send("first", "", false, stop)
		second := b.send("second", "", false, stop)
		third := b.send("third", "", false, stop) // one too many
		third.want(DeadLetter, ReasonConflict)
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
			b.send(fmt.Sprint(i), "", false, `{"Dockercmd":"wait","Container":"deaf"}`).want(DeadLetter, ReasonConflict)
		}
		b.pool.jobs.mu.Lock()
		n := 0
		for o := b.pool.jobs.latest["deaf"]; o != nil; o = o.before.Load() {
			n++
		}
		if n > 100 {
			t.Errorf("kept")
		}
		b.pool.jobs.mu.Unlock()
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
		b.change = func(j *Job) {
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
