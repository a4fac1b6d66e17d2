package cmd

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

var retriedRemoved = strings.Replace(retried, `"Retry"`, `"Remove":true,"Retry"`, 1)

// TestGivenBackIsNotSettled: a later attempt that was given back runs when it comes again.
func TestGivenBackIsNotSettled(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.attempt = 2
		b.docker.die()
		b.pool.engine.Lost(errCut)
		synctest.Wait()
		b.send("m", "id", false, retried).want(intake.Requeue, "")
		b.docker.revive()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		again := b.send("again", "id", true, retried)
		again.unsettled()
		b.docker.named(t, "web").exit(0)
		synctest.Wait()
		again.want(intake.Ack, "")
	})
}

// TestSentAgainFailsAgain: a dead letter with attempts goes through all of them each time that it is sent,
// with and without our headers, also where they follow each other faster than their containers go.
func TestSentAgainFailsAgain(t *testing.T) {
	for _, copy := range []string{"", "copy-1"} {
		for _, linger := range []time.Duration{0, live.Lingering} {
			onBench(t, nil, func(b *bench) {
				b.stores, b.pool.lingers = true, linger
				body := strings.Replace(retriedRemoved, `"Delay":"1m"`, `"Delay":"1s"`, 1)
				for cycle := 1; cycle <= 2; cycle++ {
					if cycle == 2 {
						b.copy = copy
					}
					for b.attempt = 1; b.attempt <= 3; b.attempt++ {
						b.send("attempt", "id", false, body).unsettled()
						b.docker.named(t, "web").exit(1)
						time.Sleep(time.Second)
						synctest.Wait()
					}
					time.Sleep(time.Minute)
				}
				if n := len(b.record.results); n != 6 {
					t.Errorf("copy %q, lingers %v: %d results, want 6", copy, linger, n)
				}
			})
		}
	}
}

// TestNothingToStore: a message without an id that went another way while its job was at work leaves nothing
// to keep a copy of.
func TestNothingToStore(t *testing.T) {
	for _, body := range []string{retriedRemoved, strings.Replace(echo, "busybox", "none", 1)} {
		onBench(t, func(c *Config) {
			c.Quiet = func(context.Context, time.Duration) (intake.Place, bool) { return intake.Place{}, true }
		}, func(b *bench) {
			b.stores = true
			d := b.send("m", "", false, body)
			d.lose()
			if b.docker.count() > 0 {
				b.docker.named(t, "web").exit(1)
			}
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			if n := b.docker.count() + b.pool.jobs.Size().Tasks; n != 0 {
				t.Errorf("%d containers and tasks are left", n)
			}
		})
	}
}

// slowRemoval is an engine that calls during after each removal, before it answers.
type slowRemoval struct {
	*fakeDocker
	during func()
}

func (d *slowRemoval) RemoveContainer(ctx context.Context, id string, o dockerapi.RemoveOptions) error {
	defer d.during()
	return d.fakeDocker.RemoveContainer(ctx, id, o)
}

// TestLostAsContainerGoes: a message without an id that is lost while the container is removed is not answered. Until its
// answer was known to be lost, the redelivery would be taken for another message, and run again.
func TestLostAsContainerGoes(t *testing.T) {
	var docker *slowRemoval
	onBench(t, func(c *Config) {
		docker = &slowRemoval{fakeDocker: c.Docker.(*fakeDocker)}
		c.Docker = docker
	}, func(b *bench) {
		d := b.send("m", "", false, wait)
		d.hold = make(chan struct{})
		docker.during = d.lose
		b.docker.named(t, "web").exit(0)
		synctest.Wait()
		again := b.send("again", "", true, wait)
		close(d.hold)
		time.Sleep(time.Second)
		synctest.Wait()
		again.want(intake.Ack, "")
		if n := b.made("create"); n != 1 {
			t.Errorf("%d containers were created", n)
		}
	})
}

// TestLingersForAll: the container outlives each ack, also one that joins, and stays where the connection ended
// before a stop.
func TestLingersForAll(t *testing.T) {
	t.Run("published twice", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.pool.lingers = live.Lingering
			b.send("m", "id", false, echo).want(intake.Ack, "")
			time.Sleep(time.Second)
			d := b.send("twice", "id", false, echo)
			time.Sleep(time.Minute)
			d.want(intake.Ack, "")
			for _, e := range b.events {
				if strings.HasPrefix(e, "ack twice") && strings.Contains(e, "containers: 0") {
					t.Errorf("events %q", b.events)
				}
			}
		})
	})
	t.Run("lost, and then stopped", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.pool.lingers = live.Lingering
			b.fences = []error{nil, intake.ErrDeliveryLost}
			b.send("m", "id", false, echo).want(intake.Ack, "")
			b.close()
			<-b.done
			if b.docker.count() != 1 {
				t.Error("removed, though the ack may be lost")
			}
			if n := b.pool.staying.Load(); n != 1 {
				t.Errorf("%d containers are said to stay, want 1", n)
			}
		})
	})
	t.Run("lost as the broker closed, and then stopped with nothing left in the queue", func(t *testing.T) {
		onBench(t, func(c *Config) {
			c.Quiet = func(_ context.Context, consumed time.Duration) (intake.Place, bool) {
				return intake.Place{}, consumed == live.ReleasedFor
			}
		}, func(b *bench) {
			b.pool.lingers, b.released = live.Lingering, true
			b.fences = []error{nil, intake.ErrDeliveryLost}
			b.send("m", "id", false, echo).want(intake.Ack, "")
			b.close()
			<-b.done
			if n := b.pool.staying.Load(); n != 0 || b.docker.count() != 0 {
				t.Errorf("%d containers are left, and %d said to stay", b.docker.count(), n)
			}
		})
	})
	t.Run("the next attempt", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.pool.lingers = live.Lingering
			b.send("m", "id", false, retriedRemoved)
			b.docker.named(t, "web").exit(1)
			time.Sleep(time.Second)
			b.attempt = 2
			b.send("m2", "id", false, retriedRemoved)
			if b.docker.count() != 2 {
				t.Errorf("%d containers: that of the first attempt did not outlive its ack", b.docker.count())
			}
			b.docker.named(t, "web").exit(0)
			time.Sleep(time.Minute)
		})
	})
}

// TestStrangersAttempt: a number that no attempt can have is none: the job ends, and others go on.
func TestStrangersAttempt(t *testing.T) {
	for _, n := range []int{1099511627776, message.MaxAttempt + 1, -1 << 62} {
		onBench(t, nil, func(b *bench) {
			b.stores, b.attempt = true, n
			d := b.send("m", "id", false, "rubbish")
			d.want(intake.Ack, event.ReasonInvalid)
			if d.copies != 1 {
				t.Errorf("attempt %d: %d dead letters", n, d.copies)
			}
			b.send("other", "other", false, echo).want(intake.Ack, "")
		})
	}
	if i := identity.Of(intake.Job{MessageID: "id", Attempt: 1099511627776}); i.Attempt != 1 {
		t.Errorf("attempt %d", i.Attempt)
	}
}
