package cmd

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestSweep: only what ended long ago, is marked for removal, and belongs to no message, is removed.
func TestSweep(t *testing.T) {
	const left = `{"Dockercmd":"run","Image":"busybox","Cmd":["wait"],"Options":{"Name":"left","Attach":["STDOUT"],"Remove":true}}`
	var quiet atomic.Bool
	sweeping := func(c *Config) {
		c.SweepAfter, c.Queue = 24*time.Hour, "q"
		c.Quiet = func(_ context.Context, consumed time.Duration) (intake.Place, bool) {
			if consumed != time.Hour {
				t.Errorf("asked for %v of quiet", consumed)
			}
			return intake.Place{VHost: "v", Broker: "here"}, quiet.Load()
		}
	}
	// leave makes a container as a process that was killed leaves it.
	leave := func(b *bench, name, queue, digest, remove, status string) {
		b.docker.mu.Lock()
		defer b.docker.mu.Unlock()
		c := &fakeContainer{engine: b.docker}
		c.ID, c.Name, c.Created = "id-"+name, name, time.Now()
		c.Labels = map[string]string{identity.LabelJob: "j", identity.LabelQueue: queue, identity.LabelDigest: digest, identity.LabelRemove: remove, identity.LabelBroker: "v@here"}
		c.State.Status = status
		switch status {
		case "exited":
			c.State.StartedAt, c.State.FinishedAt = time.Now(), time.Now()
		case "running":
			c.State.StartedAt, c.State.Running = time.Now(), true
		}
		b.docker.byID[c.ID] = c
	}
	names := func(b *bench) (names []string) {
		for _, c := range b.docker.all() {
			names = append(names, c.Name)
		}
		slices.Sort(names)
		return names
	}
	onEngine(t, withExits, sweeping, func(b *bench) {
		leave(b, "ended", "q", "1", "true", "exited")
		leave(b, "never-started", "q", "2", "true", "created")
		leave(b, "kept", "q", "3", "false", "exited")
		leave(b, "runs", "q", "4", "true", "running")
		leave(b, "of-another-queue", "p", "5", "true", "exited")
		leave(b, "of-a-job-here", "q", identity.Of(intake.Job{Body: []byte(left)}).Digest, "true", "exited")
		d := b.send("m", "id", false, left) // works on another container, but might have wanted that one
		defer func() { b.docker.named(t, "left").exit(0); synctest.Wait(); d.want(intake.Ack, "") }()
		stays := []string{"kept", "left", "of-a-job-here", "of-another-queue", "runs"}
		all := append([]string{"ended", "never-started"}, stays...)
		slices.Sort(all)

		time.Sleep(30 * time.Hour)
		synctest.Wait()
		if got := names(b); !slices.Equal(got, all) {
			t.Errorf("swept while the queue has messages: left are %q", got)
		}
		quiet.Store(true)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := names(b); !slices.Equal(got, stays) {
			t.Errorf("left are %q, want %q", got, stays)
		}
		leave(b, "young", "q", "6", "true", "exited")
		time.Sleep(20 * time.Hour)
		synctest.Wait()
		if !slices.Contains(names(b), "young") {
			t.Error("swept before its time")
		}
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		if slices.Contains(names(b), "young") {
			t.Error("not swept when its time had come")
		}
	})
	t.Run("engine away", func(t *testing.T) {
		onBench(t, sweeping, func(b *bench) {
			leave(b, "ended", "q", "1", "true", "exited")
			b.docker.die()
			time.Sleep(30 * time.Hour)
			b.docker.revive()
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if len(names(b)) != 0 {
				t.Error("not swept when the engine was back")
			}
		})
	})
	t.Run("a message comes in the middle of it", func(t *testing.T) {
		onBench(t, sweeping, func(b *bench) {
			leave(b, "left", "q", identity.Of(intake.Job{Body: []byte(left)}).Digest, "true", "exited")
			c := b.docker.named(t, "left")
			release, ok := b.pool.jobs.Reserve(c.Container)
			if !ok {
				t.Fatal("not reserved")
			}
			b.send("m", "", true, left)
			if slices.Contains(b.docker.did(), "create left") {
				t.Error("a run did not wait for the sweep of the container that has its name")
			}
			if _, ok := b.pool.jobs.Reserve(c.Container); ok {
				t.Error("reserved although a job wants it")
			}
			b.docker.mu.Lock()
			delete(b.docker.byID, c.ID)
			b.docker.mu.Unlock()
			release(true)
			synctest.Wait()
			b.docker.named(t, "left").exit(0)
			synctest.Wait()
		})
	})
	t.Run("in another virtual host", func(t *testing.T) {
		onBench(t, func(c *Config) {
			sweeping(c)
			c.Quiet = func(context.Context, time.Duration) (intake.Place, bool) {
				return intake.Place{VHost: "other", Broker: "here"}, true
			}
		}, func(b *bench) {
			leave(b, "ended", "q", "1", "true", "exited")
			time.Sleep(100 * time.Hour)
			if len(names(b)) != 1 {
				t.Error("swept what belongs to a queue of the same name elsewhere")
			}
		})
	})
	t.Run("off", func(t *testing.T) {
		onBench(t, func(c *Config) { sweeping(c); c.SweepAfter = 0 }, func(b *bench) {
			leave(b, "ended", "q", "1", "true", "exited")
			time.Sleep(100 * time.Hour)
			if len(names(b)) != 1 {
				t.Error("swept although that is off")
			}
		})
	})
}

// TestLeftAt: an exit whose time the engine does not tell counts from the container's creation.
func TestLeftAt(t *testing.T) {
	created, finished := time.Unix(100, 0), time.Unix(200, 0)
	for _, tt := range []struct {
		state dockerapi.State
		want  time.Time
	}{
		{dockerapi.State{Status: "exited", FinishedAt: finished}, finished},
		{dockerapi.State{Status: "exited"}, created},
		{dockerapi.State{Status: "created", FinishedAt: finished}, created},
	} {
		if got := leftAt(dockerapi.Container{Created: created, State: tt.state}); !got.Equal(tt.want) {
			t.Errorf("%+v: left at %v, want %v", tt.state, got, tt.want)
		}
	}
}
