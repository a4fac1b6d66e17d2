package cmd

import (
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
