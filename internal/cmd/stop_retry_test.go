package cmd

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestStopBetweenAttempts stops a job by its id while its next attempt waits, and the container of the last one is removed.
func TestStopBetweenAttempts(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		d := b.send("m", "id", false, retriedRemoved)
		b.docker.named(t, "web").exit(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(d.agains) != 1 || b.docker.count() != 0 {
			t.Fatalf("next attempts %q, %d containers; want one, and none", d.agains, b.docker.count())
		}
		b.command(`{"Dockercmd":"stop","Job":"id"}`)
		b.attempt = 2
		b.send("next", "id", false, retriedRemoved).want(intake.Ack, "cancelled")
		if n := len(b.record.started); n != 1 {
			t.Errorf("started %d times", n)
		}
	})
}

// TestStopBeforeResult stops a job by its id after its container has exited with a failure, before its output has ended.
func TestStopBeforeResult(t *testing.T) {
	onEngine(t, withExits, nil, func(b *bench) {
		b.engine(holdsOutput{b.docker})
		d := b.send("m", "id", false, retried)
		b.docker.named(t, "web").exit(1)
		synctest.Wait()
		if len(d.verdicts) > 0 {
			t.Fatal("the job has ended")
		}
		b.command(`{"Dockercmd":"stop","Job":"id"}`).want(intake.Ack, "")
		time.Sleep(time.Minute)
		synctest.Wait()
		b.attempt = 2
		b.send("next", "id", false, retried)
		if n := len(b.record.started); n != 1 {
			t.Errorf("started %d times", n)
		}
	})
}

// holdsOutput is an engine on which a container's output does not end with the container.
type holdsOutput struct{ *fakeDocker }

func (h holdsOutput) AttachContainer(ctx context.Context, id string, o dockerapi.AttachOptions) (func() error, error) {
	join, err := h.fakeDocker.AttachContainer(ctx, id, o)
	if err != nil {
		return nil, err
	}
	return func() error {
		err := join()
		<-ctx.Done()
		return err
	}, nil
}

// TestManyLostDeliveries loses a long job's delivery again and again: no lost one is kept.
func TestManyLostDeliveries(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		d := b.send("m", "id", false, sleeper)
		for range 100 {
			d.lose()
			d = b.send("m", "id", true, sleeper)
		}
		if given, _, _ := b.pool.jobs.ByID("id").Given(); len(given) != 1 {
			t.Errorf("%d deliveries that a result is sent to; want one", len(given))
		}
		b.command(`{"Dockercmd":"kill","Job":"id"}`)
		d.want(intake.Ack, "")
	})
}

// TestFailedCreateLeavesNothing: a container that could not be connected to all its networks does not hold the name.
func TestFailedCreateLeavesNothing(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.stores = true
		b.docker.before["connect b"] = []error{dockerapi.ErrInvalid}
		b.send("m", "id", false, `{"Dockercmd":"create","Image":"busybox","Options":{"Name":"web","Network":["a","b"]}}`)
		if r, n := b.result(), b.docker.count(); r.Reason != "bad-request" || n != 0 {
			t.Errorf("%+v, %d containers; want bad-request, and none", r, n)
		}
	})
}
