package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/exits"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// made returns how often a call was made.
func (b *bench) made(call string) (n int) {
	for _, did := range b.docker.did() {
		if did, _, _ = strings.Cut(did, " "); did == call {
			n++
		}
	}
	return n
}

// asked returns how often a stream of exits was asked for.
func (f *fakeDocker) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.watched
}

// drops sets whether the engine leaves exits out of its stream.
func (f *fakeDocker) drops(so bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dropsExits = so
}

// awaited returns how many exits are awaited; -1: there is no stream.
func (b *bench) awaited() int {
	n, _, open := b.pool.exits.Awaited()
	if !open {
		return -1
	}
	return n
}

// lateOutput is an engine whose attach ends some time after the container.
type lateOutput struct {
	container.Docker
	by time.Duration
}

func (l lateOutput) AttachContainer(ctx context.Context, id string, o dockerapi.AttachOptions) (func() error, error) {
	join, err := l.Docker.AttachContainer(ctx, id, o)
	return func() error {
		if err := join(); err != nil || l.by == 0 {
			return err
		}
		if err := delay.Sleep(ctx, l.by); err != nil {
			return err
		}
		_, err := fmt.Fprintln(o.Stdout, "late")
		return err
	}, err
}

// TestExitsAndOutput: whether the engine tells of an exit before the end of the output, after it, or never, the result is
// the same. No wait is needed.
func TestExitsAndOutput(t *testing.T) {
	for _, tt := range []struct {
		name         string
		attach, told time.Duration // after the exit; told 0: never
		within       time.Duration
	}{
		{"before", 3 * time.Second, time.Nanosecond, 3 * time.Second},
		{"after", 0, 3 * time.Second, 3 * time.Second},
		{"never", 0, 0, 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEngine(t, withExits, func(c *Config) { c.Docker = lateOutput{c.Docker, tt.attach} }, func(b *bench) {
				d := b.send("m", "id", false, wait)
				if n := b.awaited(); n != 1 {
					t.Errorf("%d exits are awaited", n)
				}
				c := b.docker.named(t, "web")
				b.docker.drops(true)
				c.exit(3)
				ended := time.Now()
				if tt.told > 0 {
					time.Sleep(tt.told)
					b.docker.mu.Lock()
					b.docker.died = append(b.docker.died, death{c.ID, "q", 3})
					b.docker.touch()
					b.docker.mu.Unlock()
				}
				for !slices.Contains(b.docker.did(), "remove web") && time.Since(ended) < time.Minute {
					time.Sleep(100 * time.Millisecond)
				}
				if took := time.Since(ended); took > tt.within+time.Second || took < tt.within {
					t.Errorf("the result took %v, want %v", took, tt.within)
				}
				d.want(intake.Ack, event.ReasonExit)
				if r := b.result(); *r.ExitCode != 3 || r.Incomplete || b.made("wait") > 0 || tt.attach > 0 && r.Stdout != "late\n" {
					t.Errorf("result %+v; %d waits", r, b.made("wait"))
				}
				if n := b.awaited(); n != 0 {
					t.Errorf("%d exits are awaited in the end", n)
				}
			})
		})
	}
}

// TestExitsApart: each run has the exit of its own container, also if several come at once.
func TestExitsApart(t *testing.T) {
	onEngine(t, withExits, nil, func(b *bench) {
		b.send("a", "a", false, named("aa")).unsettled()
		b.send("b", "b", false, named("bb")).unsettled()
		a, other := b.docker.named(t, "aa"), b.docker.named(t, "bb")
		b.docker.mu.Lock()
		b.docker.died = append(b.docker.died, death{a.ID[:3], "q", 1}, death{a.ID + "0", "q", 2}, death{a.ID, "another", 3})
		a.end(4)
		other.end(5)
		b.docker.mu.Unlock()
		synctest.Wait()
		for _, r := range b.record.results {
			if want := map[string]int{"aa": 4, "bb": 5}[r.ContainerName]; *r.ExitCode != want {
				t.Errorf("%s: exit code %d", r.ContainerName, *r.ExitCode)
			}
		}
		if len(b.record.results) != 2 || b.made("wait") > 0 {
			t.Errorf("%d results, %d waits", len(b.record.results), b.made("wait"))
		}
	})
}

// TestExitOfRemoved: the exit code of a container that is removed as it ends is known by its event.
func TestExitOfRemoved(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		d := b.send("m", "id", false, wait)
		b.send("remove", "", false, `{"Dockercmd":"remove","Container":"web","Options":{"Force":true}}`).want(intake.Ack, "")
		d.want(intake.Ack, "")
		for _, r := range b.record.results {
			if r.Command == "run" && (r.Status != event.Stopped || r.ExitCode == nil || *r.ExitCode != 137) {
				t.Errorf("result %+v", r)
			}
		}
	})
}

// TestWaitsOfTheirOwn: what the stream cannot serve waits for itself.
func TestWaitsOfTheirOwn(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		kind       func(f *fakeDocker)
		queue      string // the pool's
		watched    int
	}{
		{"restart policy", strings.Replace(wait, `"Remove":true`, `"Restart":"on-failure:3"`, 1), withExits, "q", 1},
		{"no output", strings.Replace(wait, `"Attach":["STDOUT","STDERR"],`, "", 1), withExits, "q", 1},
		{"refused", wait, withoutExits, "q", 1},
		{"of another queue", wait, withExits, "another", 1},
		{"Podman", wait, func(f *fakeDocker) { f.podman = true }, "q", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onEngine(t, tt.kind, func(c *Config) { c.Queue = tt.queue }, func(b *bench) {
				time.Sleep(time.Hour)
				d := b.send("m", "id", false, tt.body)
				if !slices.Contains(b.docker.did(), "wait next-exit") || b.docker.asked() != tt.watched {
					t.Errorf("calls %q; %d streams asked for", b.docker.did(), b.docker.asked())
				}
				b.docker.named(t, "web").exit(0)
				synctest.Wait()
				d.want(intake.Ack, "")
				b.docker.die()
				time.Sleep(time.Minute)
				b.docker.revive()
				b.docker.mu.Lock()
				b.docker.noExits = nil
				b.docker.mu.Unlock()
				time.Sleep(time.Minute)
				if streams := b.docker.asked() > tt.watched; streams == b.docker.podman {
					t.Errorf("the engine was away, and is back; %d streams asked for", b.docker.asked())
				}
			})
		})
	}
}

// endingExits is an engine whose stream of exits ends at once.
type endingExits struct{ *fakeDocker }

func (e endingExits) WatchExits(ctx context.Context, label string) (func(func(string, dockerapi.ExitStatus)) error, error) {
	_, err := e.fakeDocker.WatchExits(ctx, label)
	return func(func(string, dockerapi.ExitStatus)) error { return errHTML }, err
}

// TestExitsEndAgainAndAgain: a stream that ends at once is given up, and holds nothing up. After the engine was lost it is
// asked for again.
func TestExitsEndAgainAndAgain(t *testing.T) {
	onEngine(t, withExits, func(c *Config) { c.Docker = endingExits{c.Docker.(*fakeDocker)} }, func(b *bench) {
		time.Sleep(time.Second)
		if n := b.docker.asked(); n < 2 || n > 4 {
			t.Errorf("asked for %d times in a second", n)
		}
		time.Sleep(time.Hour)
		if n := b.docker.asked(); n != maxRetries+1 {
			t.Errorf("asked for %d times", n)
		}
		if open, _ := b.gate.State(); !open {
			t.Error("intake is paused")
		}
		b.send("m", "id", false, echo).want(intake.Ack, "")
		if b.made("wait") != 1 {
			t.Errorf("calls %q", b.docker.did())
		}
		b.docker.die()
		time.Sleep(time.Minute)
		b.docker.revive()
		time.Sleep(time.Hour)
		if n := b.docker.asked(); n < 2*(maxRetries+1) {
			t.Errorf("asked for %d times in the end", n)
		}
	})
}

// TestExitsDropped: a stream that is open and tells nothing is not relied on for long.
func TestExitsDropped(t *testing.T) {
	onEngine(t, func(f *fakeDocker) { f.dropsExits = true }, nil, func(b *bench) {
		for n := range exits.MostMisses + 2 {
			d := b.send("m", fmt.Sprint(n), false, strings.Replace(echo, "web", fmt.Sprint("web", n), 1))
			if n < exits.MostMisses {
				d.unsettled()
				time.Sleep(11 * time.Second)
				synctest.Wait()
			}
			d.want(intake.Ack, "")
			if want := max(0, n+1-exits.MostMisses); b.made("wait") != want {
				t.Errorf("%d waits for %d runs, want %d", b.made("wait"), n+1, want)
			}
		}
		b.docker.drops(false)
		for n := range 3 { // one run tries it again in a while; then all rely on it
			time.Sleep(10 * time.Minute)
			b.send("m", fmt.Sprint("again", n), false, echo).want(intake.Ack, "")
		}
		if b.made("wait") != 2 {
			t.Errorf("%d waits: the stream is not tried again", b.made("wait"))
		}
		b.docker.cutExits()
		time.Sleep(time.Minute)
		for n := range exits.MostMisses + 1 { // misses that are not in a row
			b.docker.drops(true)
			b.send("m", fmt.Sprint("id", n), false, echo)
			time.Sleep(11 * time.Second)
			b.docker.drops(false)
			b.send("m", fmt.Sprint("id-", n), false, echo).want(intake.Ack, "")
		}
		if b.made("wait") != 2 {
			t.Errorf("%d waits", b.made("wait"))
		}
	})
	onEngine(t, withExits, func(c *Config) { c.Docker = attachEnds{c.Docker} }, func(b *bench) { // the containers close their output, and run on
		for n := range exits.MostMisses + 1 {
			b.send("m", fmt.Sprint(n), false, strings.Replace(wait, "web", fmt.Sprint("web", n), 1))
			time.Sleep(time.Minute)
			if _, misses, open := b.pool.exits.Awaited(); !open || misses > 0 {
				t.Errorf("%d misses", misses)
			}
			b.docker.named(t, fmt.Sprint("web", n)).exit(0)
			synctest.Wait()
		}
	})
}

// TestExitsNoticeLoss: the end of the stream tells at once that the engine is lost.
func TestExitsNoticeLoss(t *testing.T) {
	onEngine(t, withExits, nil, func(b *bench) {
		time.Sleep(time.Minute + time.Second) // between two pings
		b.docker.die()
		synctest.Wait()
		if open, _ := b.gate.State(); open {
			t.Error("the engine counts as there")
		}
	})
}
