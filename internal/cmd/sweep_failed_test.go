package cmd

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// errBusy is what an engine says if a mount of the container has leaked.
var errBusy = errors.New("unable to remove filesystem: device or resource busy")

// sweepsHourly sweeps the queue q, which is always empty.
func sweepsHourly(c *Config) {
	c.SweepAfter, c.Queue = time.Hour, "q"
	c.Quiet = func(context.Context, time.Duration) (intake.Place, bool) {
		return intake.Place{}, true
	}
}

// TestSweepGoesOn has some containers that cannot be removed, or looked at. The others are swept.
func TestSweepGoesOn(t *testing.T) {
	for _, call := range []string{"remove", "inspect"} {
		t.Run(call, func(t *testing.T) {
			onBench(t, sweepsHourly, func(b *bench) {
				b.engine(stuck{b.docker, call})
				b.docker.mu.Lock()
				for i := range 20 {
					c := &fakeContainer{engine: b.docker}
					c.ID, c.Name, c.Created = fmt.Sprint("id-", i), fmt.Sprint("c", i), time.Now()
					c.Labels = map[string]string{identity.LabelJob: "j", identity.LabelQueue: "q", identity.LabelDigest: fmt.Sprint(i), identity.LabelRemove: "true", identity.LabelBroker: intake.Place{}.String()}
					c.State.Status, c.State.StartedAt, c.State.FinishedAt = "exited", time.Now(), time.Now()
					if i%7 == 0 {
						c.Name, c.State.Status = "stuck", "dead"
					}
					b.docker.byID[c.ID] = c
				}
				b.docker.mu.Unlock()
				time.Sleep(5 * time.Hour)
				synctest.Wait()
				if n := b.docker.count(); n != 3 {
					t.Errorf("%d containers left, want the 3 with which the %s fails", n, call)
				}
			})
		})
	}
}

// stuck is an engine that fails with the containers stuck.
type stuck struct {
	*fakeDocker
	call string
}

func (s stuck) RemoveContainer(ctx context.Context, id string, o dockerapi.RemoveOptions) error {
	if s.call == "remove" && s.nameOf(id) == "stuck" {
		return errBusy
	}
	return s.fakeDocker.RemoveContainer(ctx, id, o)
}

func (s stuck) InspectContainer(ctx context.Context, id string) (dockerapi.Container, error) {
	if s.call == "inspect" && s.nameOf(id) == "stuck" {
		return dockerapi.Container{}, errBusy
	}
	return s.fakeDocker.InspectContainer(ctx, id)
}

// TestSweepAfterFailedRemoval has a removal at a job's end fail. A sweep removes the container.
func TestSweepAfterFailedRemoval(t *testing.T) {
	onBench(t, sweepsHourly, func(b *bench) {
		b.docker.before["remove"] = []error{errBusy}
		b.send("1", "id", false, echo).want(intake.Ack, "")
		if n := b.docker.count(); n != 1 {
			t.Fatalf("%d containers left by the job, want 1", n)
		}
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if n := b.docker.count(); n != 0 {
			t.Errorf("%d containers left", n)
		}
		if n := b.pool.jobs.Size().Retired; n != 0 {
			t.Errorf("%d ids are remembered of containers that do not exist any more", n)
		}
	})
}
