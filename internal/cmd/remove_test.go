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
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestRemovalInProgress: a removal that somebody else asked for is waited for, and not for ever.
func TestRemovalInProgress(t *testing.T) {
	refused := fmt.Errorf("remove: %w", dockerapi.ErrRemovalInProgress)
	for _, force := range []string{"false", "true"} {
		for _, ends := range []bool{true, false} {
			onBench(t, nil, func(b *bench) {
				c := b.leave("web", "exited", nil)
				b.docker.before["remove"] = slices.Repeat([]error{refused}, 1000)
				d := b.send("m", "id", false, `{"Dockercmd":"remove","Container":"web","Options":{"Force":`+force+`}}`)
				time.Sleep(time.Minute)
				d.unsettled()
				if ends {
					b.docker.mu.Lock()
					delete(b.docker.byID, c.ID)
					b.docker.mu.Unlock()
				}
				time.Sleep(removalTakes)
				synctest.Wait()
				if ends {
					d.want(intake.Ack, "")
					return
				}
				d.want(intake.DeadLetter, event.ReasonConflict)
				if r := b.result(); !strings.Contains(r.Error, refused.Error()) {
					t.Errorf("result %+v", r)
				}
			})
		}
	}
}

// deaf is an engine whose containers ignore SIGTERM.
type deaf struct{ *fakeDocker }

func (d deaf) KillContainer(ctx context.Context, id, signal string) error {
	if signal == "TERM" {
		return nil
	}
	return d.fakeDocker.KillContainer(ctx, id, signal)
}

// TestRemoveAfterIgnoredKill: a remove does not wait for the run of a container that has ignored the signal of a kill.
func TestRemoveAfterIgnoredKill(t *testing.T) {
	onBench(t, func(c *Config) { c.Docker = deaf{c.Docker.(*fakeDocker)} }, func(b *bench) {
		b.send("m", "id", false, wait)
		b.send("kill", "kill", false, `{"Dockercmd":"kill","Container":"web","Options":{"Signal":"TERM"}}`).want(intake.Ack, "")
		b.send("remove", "remove", false, `{"Dockercmd":"remove","Container":"web","Options":{"Force":true}}`).want(intake.Ack, "")
	})
}
