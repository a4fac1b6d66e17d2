package live

import (
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// ErrElsewhere ends a task that has no result here.
var ErrElsewhere = errors.New("the job is another host's")

// An Elsewhere is an errElsewhere with what becomes of the messages: they are forwarded, or requeued because the claim leads to no
// host, or acked because the job was settled meanwhile, or put back because no host may run the job.
type Elsewhere struct {
	Verdict intake.Verdict
	To      intake.Claim
}

func (e *Elsewhere) Error() string { return ErrElsewhere.Error() }

func (e *Elsewhere) Is(target error) bool { return target == ErrElsewhere }

// Moves records that the task has no result here, and returns why: a stop that has cancelled it is to follow it.
func (t *Task) Moves(e *Elsewhere) error {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.away = e
	return e
}

// WhyAway returns why a task has no result here; nil: it has one, or is to have one.
func (t *Task) WhyAway() *Elsewhere {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.away
}

// ForwardsTo moves a waiting task to phaseForwarded.
func (t *Task) ForwardsTo(to intake.Claim) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.phase == Waiting && (t.From == nil || t.From.Hops < intake.MostHops) && t.in.move(t, Forwarded) {
		t.away = &Elsewhere{intake.Forward, to}
	}
}

// sentHome reports whether a delivery is the copy of a message that t has sent to this host's own queue. registry.mu is held.
func (t *Task) sentHome(j intake.Job) bool {
	return j.Forwarded != nil && t.away != nil && t.away.To.Ours
}
