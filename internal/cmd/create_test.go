package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// slowCreate is an engine whose first create takes a while, and whose connection is cut meanwhile. The name is taken from
// the beginning. The container is shown at the end.
type slowCreate struct {
	*fakeDocker
	takes  time.Duration
	making bool
}

func (s *slowCreate) CreateContainer(ctx context.Context, name string, cfg dockerapi.ContainerConfig) (dockerapi.Created, error) {
	s.mu.Lock()
	first, making := s.takes > 0, s.making
	takes := s.takes
	s.takes, s.making = 0, first || making
	s.mu.Unlock()
	switch {
	case first:
		go func() {
			time.Sleep(takes)
			s.fakeDocker.CreateContainer(context.Background(), name, cfg)
			s.mu.Lock()
			s.making = false
			s.mu.Unlock()
		}()
		return dockerapi.Created{}, errCut
	case making:
		return dockerapi.Created{}, fmt.Errorf("create container: %w: %s", dockerapi.ErrNameInUse, name)
	}
	return s.fakeDocker.CreateContainer(ctx, name, cfg)
}

// TestCreateGoesOn: an engine that is still making the container after the connection of the create was cut refuses the
// name, and does not show the container. The job waits for the container.
func TestCreateGoesOn(t *testing.T) {
	for _, takes := range []time.Duration{6 * time.Second, 90 * time.Second} {
		for _, killed := range []bool{false, true} { // the daemon, by which the message is redelivered
			var engine *slowCreate
			onBench(t, func(c *Config) {
				engine = &slowCreate{fakeDocker: c.Docker.(*fakeDocker), takes: takes}
				c.Docker = engine
			}, func(b *bench) {
				if killed {
					labels := identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(echo)}).Labels(true)
					engine.CreateContainer(t.Context(), "web", dockerapi.ContainerConfig{Image: "busybox", Cmd: []string{"echo", "hi"}, Labels: labels})
				}
				d := b.send("m", "id", killed, echo)
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				d.want(intake.Ack, "")
				starts := slices.DeleteFunc(b.docker.did(), func(call string) bool { return call != "start" })
				if r := b.result(); r.Stdout != "hi\n" || len(starts) != 1 || b.docker.count() != 0 {
					t.Errorf("takes %v, killed: %v: result %+v, %d starts, %d containers left", takes, killed, r, len(starts), b.docker.count())
				}
			})
		}
	}
	t.Run("for ever", func(t *testing.T) {
		onBench(t, func(c *Config) {
			c.Docker = &slowCreate{fakeDocker: c.Docker.(*fakeDocker), making: true}
		}, func(b *bench) {
			d := b.send("m", "id", true, echo)
			time.Sleep(creating - time.Second)
			d.unsettled()
			time.Sleep(5 * time.Second)
			d.want(intake.DeadLetter, event.ReasonNameConflict)
			first := b.send("first", "id2", false, echo) // no earlier create can have made it
			time.Sleep(hosts.Leaving + 2*time.Second)
			first.want(intake.DeadLetter, event.ReasonNameConflict)
		})
	})
}

// TestCreateUnansweredThenRefused: what the engine made without answering is removed, whatever it says to the next create.
func TestCreateUnansweredThenRefused(t *testing.T) {
	for _, refused := range []error{errors.New("boom"), dockerapi.ErrInvalid} {
		onBench(t, nil, func(b *bench) {
			b.docker.after["create"] = []error{errCut}
			b.docker.before["create"] = []error{nil, refused}
			d := b.send("m", "id", false, echo)
			time.Sleep(time.Minute)
			synctest.Wait()
			if len(d.verdicts) != 1 || d.verdicts[0] != intake.DeadLetter || b.docker.count() != 0 {
				t.Errorf("%v: settled %v, %d containers left", refused, d.verdicts, b.docker.count())
			}
		})
	}
}

// slowRemove is an engine that removes a container when it is told to.
type slowRemove struct {
	*fakeDocker
	now chan struct{}
}

func (s slowRemove) RemoveContainer(ctx context.Context, id string, o dockerapi.RemoveOptions) error {
	<-s.now
	return s.fakeDocker.RemoveContainer(ctx, id, o)
}

// TestNameOfOneBeingRemoved: a container that is being removed is not renamed for who wants its name next.
func TestNameOfOneBeingRemoved(t *testing.T) {
	for _, deadLetter := range []bool{false, true} {
		var now chan struct{}
		onBench(t, func(c *Config) { now = make(chan struct{}); c.Docker = slowRemove{c.Docker.(*fakeDocker), now} }, func(b *bench) {
			b.pool.lingers, b.stores = live.Lingering, true
			b.change = func(j *intake.Job) {
				if !deadLetter {
					j.Fence, j.Store = nil, nil // as of standard input
				}
			}
			b.send("1", "1", false, wait)
			c := b.docker.named(t, "web")
			if deadLetter {
				b.docker.mu.Lock()
				c.end(0)
				c.State.ExitCode = nil
				b.docker.mu.Unlock()
			} else {
				c.exit(0)
			}
			synctest.Wait()
			b.docker.before["rename"] = []error{dockerapi.ErrRemovalInProgress}
			d := b.send("2", "2", false, strings.Replace(wait, "wait", "echo", 1))
			time.Sleep(500 * time.Millisecond)
			close(now)
			time.Sleep(10 * time.Second)
			d.want(intake.Ack, "")
			if calls := fmt.Sprint(b.docker.did()); strings.Contains(calls, "rename") {
				t.Errorf("dead letter %v: %s", deadLetter, calls)
			}
		})
	}
}
