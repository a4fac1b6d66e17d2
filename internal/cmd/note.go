package cmd

import (
	"context"
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// noteTakes is how long a host that has forwarded a message may take to tell that it is acked. See mostForNote.
const noteTakes = 2 * mostForNote

// errNoNote says that a note has not come for noteTakes: the host that was to send it was killed, or cannot reach the broker.
var errNoNote = errors.New("the host that forwarded the message does not tell that it is acked")

// awaitNote waits until the host that forwarded the message here has had the original acked. It is called before the job's claim is
// deleted. Else a third host that is redelivered the original would find no claim, and run the job again. joined: a delivery has come,
// and is to be settled first. The process may stop first. errNoNote: see withoutNote.
func (t *task) awaitNote() (joined bool, err error) {
	late := time.NewTimer(noteTakes)
	defer late.Stop()
	for {
		last, noted := t.lastNote()
		if noted {
			return false, nil
		}
		select {
		case <-last:
		case <-t.arrived:
			if t.hasMore() { // else it was settled already
				return true, nil
			}
		case <-t.pool.stopping:
			return false, context.Canceled
		case <-t.ctx.Done():
			return false, t.ctx.Err()
		case <-late.C:
			return false, errNoNote
		}
	}
}

// withoutNote prepares the end of a task whose note has not come. A container to be removed stays with its claims, as one that a crash
// left: the sweep removes it once no message can ask for it. Without a container the job's claim is held for a while. So commands by Job
// and a dead letter that is sent again do not wait for ever.
func (t *task) withoutNote(v intake.Verdict) error {
	t.log.Info(errNoNote.Error()+"; what is left of the job stays for a while", "container", t.name)
	switch {
	case t.untidy() && t.container != "" && v != intake.DeadLetter: // else it has never started
		t.tidied = true
		return t.endClaims(t.ctx, true)
	case t.keys.Holds(t.JobKey(t.ID)):
		_, err := t.claimLasting(t.ID)
		return err
	}
	return nil
}

// lastNote returns the note that t waits for, as notes.last does.
func (t *task) lastNote() (last <-chan struct{}, noted bool) {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.deliveries.notes.last()
}
