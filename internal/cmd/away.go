package cmd

import (
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// errElsewhere ends a task that has no result here.
var errElsewhere = errors.New("the job is another host's")

// An elsewhere is an errElsewhere with what becomes of the messages: they are forwarded, or requeued because the claim leads to no
// host, or acked because the job was settled meanwhile, or put back because no host may run the job.
type elsewhere struct {
	verdict intake.Verdict
	to      intake.Claim
}

func (e *elsewhere) Error() string { return errElsewhere.Error() }

func (e *elsewhere) Is(target error) bool { return target == errElsewhere }

// moves records that the task has no result here, and returns why: a stop that has cancelled it is to follow it.
func (t *task) moves(e *elsewhere) error {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.away = e
	return e
}

// whyAway returns why a task has no result here; nil: it has one, or is to have one.
func (t *task) whyAway() *elsewhere {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.away
}

// forwardsTo moves a waiting task to phaseForwarded.
func (t *task) forwardsTo(to intake.Claim) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.phase == phaseWaiting && (t.from == nil || t.from.Hops < intake.MostHops) && t.in.move(t, phaseForwarded) {
		t.away = &elsewhere{intake.Forward, to}
	}
}

// sentHome reports whether a delivery is the copy of a message that t has sent to this host's own queue. registry.mu is held.
func (t *task) sentHome(j intake.Job) bool {
	return j.Forwarded != nil && t.away != nil && t.away.to.Ours
}
