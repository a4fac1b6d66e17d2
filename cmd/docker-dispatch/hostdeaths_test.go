package main

import (
	"context"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// Steps of a job on one of several hosts.
const (
	stepClaim   = "claim"   // the job's key is claimed
	stepForward = "forward" // the broker has confirmed the copy for another host; the original is not acked
	stepMoved   = "moved"   // the original is acked, and the other host does not know it
	stepFenced  = "fenced"  // the ack cannot be lost; the claims are still there
	stepUnclaim = "unclaim" // a claim is deleted; the container is still there
)

type mortalClaims struct {
	intake.Claims
	mortal
}

func (c mortalClaims) Claim(ctx context.Context, key intake.ClaimKey) (*intake.Claim, error) {
	other, err := c.Claims.Claim(ctx, key)
	if other == nil {
		c.reached(stepClaim, err)
	}
	return other, err
}

func (c mortalClaims) Unclaim(ctx context.Context, key intake.ClaimKey) error {
	err := c.Claims.Unclaim(ctx, key)
	c.reached(stepUnclaim, err)
	return err
}

func (s mortalSource) Claims() intake.Claims {
	return mortalClaims{s.source.(interface{ Claims() intake.Claims }).Claims(), s.mortal}
}

// among has j's process end behind the steps of one of several hosts.
func (s mortalSource) among(j *intake.Job) {
	if forward := j.Forward; forward != nil {
		j.Forward = func(ctx context.Context, to intake.Claim, id string, overtakes bool) error {
			err := forward(ctx, to, id, overtakes)
			s.reached(stepForward, err)
			return err
		}
	}
	if moved := j.Moved; moved != nil {
		j.Moved = func(ctx context.Context) error {
			s.reached(stepMoved, nil)
			return moved(ctx)
		}
	}
	if fence := j.Fence; fence != nil {
		j.Fence = func(ctx context.Context) error {
			err := fence(ctx)
			s.reached(stepFenced, err)
			return err
		}
	}
}

// TestHostDeath kills a host behind a step of a job, while another host lives, and starts it again. Whatever the step, the program
// runs once, and in the end nothing is left, neither message nor container nor claim.
func TestHostDeath(t *testing.T) {
	t.Parallel()
	for _, step := range []string{stepClaim, stepStart, stepFenced, stepUnclaim} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			l := newHosts(t, "a", "b")
			a, b := l.all[0], l.all[1]
			a.startMortal(step)
			l.publish(publication{"id", runMessage("named-"+l.serial, "cat /proc/sys/kernel/random/uuid; echo end; exit 3")})
			if code := a.wait(); code != -1 {
				t.Fatalf("exit %d, want death by a signal", code)
			}
			b.start()
			if step != stepUnclaim && step != stepFenced { // else the message is acked
				l.awaitForwarded("a", 1)
			}
			a.start()
			l.awaitResults("id")
			l.empty()
			checkPrograms(t, 1, a.out()+b.out())
			for _, r := range l.results()["id"] {
				if r.ExitCode == nil || *r.ExitCode != 3 {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// TestForwarderDeath kills a host while it forwards a message to the one that has the job.
func TestForwarderDeath(t *testing.T) {
	t.Parallel()
	for _, step := range []string{stepForward, stepAckLost, stepAck, stepMoved} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			l := newHosts(t, "a", "b", "c")
			a, b, c := l.all[0], l.all[1], l.all[2]
			a.start()
			jobs := l.runs(1, "until [ -e /go ]; do sleep 0.1; done")
			l.awaitStarted(1)
			b.startMortal(step)
			b.awaitLog("taking messages")
			a.cut() // its message is redelivered to b
			if code := b.wait(); code != -1 {
				t.Fatalf("exit %d, want death by a signal", code)
			}
			a.touch(jobs[0], "/go")
			a.heal()
			c.start() // gets the original, if it was not acked
			l.awaitResults(jobs...)
			l.once(jobs, event.Succeeded)
			l.removed(jobs)
		})
	}
}
