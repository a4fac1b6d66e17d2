package cmd

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// TestOneGoroutine: a run that is silent takes one goroutine, with a time limit and a limit on its output too.
func TestOneGoroutine(t *testing.T) {
	const runs = 10
	limited := func(c *Config) {
		c.Concurrency, c.Timeout, c.Policy = runs+1, 24*time.Hour, withPolicy(`{"Max": {"Output": "1m"}}`)
	}
	onEngine(t, withExits, limited, func(b *bench) {
		b.send("first", "first", false, named("first")).unsettled()
		synctest.Wait()
		before := inBubble()
		for i := range runs {
			b.send(fmt.Sprint(i), fmt.Sprint(i), false, named(fmt.Sprint("web", i))).unsettled()
		}
		time.Sleep(time.Hour) // the containers are looked at meanwhile
		synctest.Wait()
		if n := inBubble() - before; n != runs {
			t.Errorf("%d goroutines of %d runs", n, runs)
		}
		for _, c := range b.docker.all() {
			c.exit(0)
		}
	})
}

// inBubble returns how many goroutines the present test has: the runtime names their bubble in their states.
func inBubble() int {
	stacks := make([]byte, 4<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), ", synctest bubble ")
}

// TestPanicAtLimit: a panic beside the goroutine that reads a run's output ends the job, not the program.
func TestPanicAtLimit(t *testing.T) {
	onBench(t, func(c *Config) { c.Docker, c.Timeout = panics{c.Docker.(*fakeDocker)}, time.Minute }, func(b *bench) {
		d := b.send("m", "id", false, wait)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		d.want(intake.DeadLetter, event.ReasonInternal)
		if r := b.result(); !strings.Contains(r.Error, "at the disco") {
			t.Errorf("result %+v", r)
		}
	})
}

// slowStarts is an engine that answers a start long after it.
type slowStarts struct{ *fakeDocker }

func (d slowStarts) StartContainer(ctx context.Context, id string) error {
	err := d.fakeDocker.StartContainer(ctx, id)
	time.Sleep(30 * time.Second)
	return err
}

// TestExitBeforeStartIsAnswered: output is read to its end although the container had exited long before the start was
// answered. No log has it.
func TestExitBeforeStartIsAnswered(t *testing.T) {
	onBench(t, func(c *Config) {
		docker := c.Docker.(*fakeDocker)
		docker.unreadable = true
		c.Docker = slowStarts{docker}
	}, func(b *bench) {
		d := b.send("m", "id", false, echo)
		time.Sleep(time.Minute)
		synctest.Wait()
		d.want(intake.Ack, "")
		if r := b.result(); r.Incomplete || r.Stdout != "hi\n" {
			t.Errorf("result %+v", r)
		}
	})
}
