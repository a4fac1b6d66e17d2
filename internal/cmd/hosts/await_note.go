package hosts

import (
	"context"
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
)

// MostForNote is how long the host that has the job may be told late that a message is acked.
const MostForNote = time.Minute

// noteTakes is how long a host that has forwarded a message may take to tell that it is acked. See mostForNote.
const noteTakes = 2 * MostForNote

// ErrNoNote says that a note has not come for noteTakes: the host that was to send it was killed, or cannot reach the broker.
var ErrNoNote = errors.New("the host that forwarded the message does not tell that it is acked")

// AwaitNote waits until the host that forwarded the message here has had the original acked. It is called before the job's claim is
// deleted. Else a third host that is redelivered the original would find no claim, and run the job again. joined: a delivery has come,
// and is to be settled first. The process may stop first. errNoNote: see withoutNote.
func (h *Hosts) AwaitNote(t *live.Task) (joined bool, err error) {
	late := time.NewTimer(noteTakes)
	defer late.Stop()
	for {
		last, noted := t.LastNote()
		if noted {
			return false, nil
		}
		select {
		case <-last:
		case <-t.Arrived:
			if t.HasMore() { // else it was settled already
				return true, nil
			}
		case <-h.Stopping:
			return false, context.Canceled
		case <-t.Ctx.Done():
			return false, t.Ctx.Err()
		case <-late.C:
			return false, ErrNoNote
		}
	}
}
