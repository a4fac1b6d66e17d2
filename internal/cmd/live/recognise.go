package live

import (
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// known is what a registry knows of a delivery.
type known int

// Recognise looks a delivery up, and joins it to the task of its job. A delivery with a message_id is known by its key.
// Without a message_id equal messages are different jobs. Then only a redelivered message is known: by its digest, as the
// message of a job whose deliveries are all lost. t is the job's task, nil if the job is not live; id is the job's id.
func (g *Registry) Recognise(i identity.Identity, j intake.Job) (k known, t *Task, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i.Stable {
		if t := g.byKey[i.Key()]; t != nil {
			if t.Copy != i.Copy || t.kept && !j.Redelivered && i.Attempt == 1 || t.sentHome(j) {
				// The job's own dead letter, sent again, or the copy that is to be carried out: an ack would lose it.
				return Returned, t, t.ID
			}
			t.join(j)
			return Joined, t, t.ID
		}
		if _, ok := g.done.Get(i.CopyKey()); ok {
			return Finished, nil, i.ID
		}
		return unknown, nil, i.ID
	}
	if !j.Redelivered {
		return unknown, nil, i.ID
	}
	var found *Task
	for t := range g.byDigest[i.Digest] {
		if t.Stable || t.Queue != i.Queue || !t.orphaned() {
			continue
		}
		found = t
		if !t.answered { // preferred: the broker may have taken a written answer
			break
		}
	}
	if found == nil {
		return unknown, nil, i.ID
	}
	found.join(j)
	return Joined, found, found.ID
}

// Knows reports whether a message with the identity is or was here.
func (g *Registry) Knows(i identity.Identity) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, over := g.done.Get(i.CopyKey())
	return i.Stable && (over || g.byKey[i.Key()] != nil)
}

// Untold returns the result of a settled job if the delivery's reply_to was not sent it, else nil.
func (g *Registry) Untold(i identity.Identity, j intake.Job) *event.Result {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, ok := g.results.Get(i.CopyKey())
	if !ok || j.Reply == nil || s.told[j.ReplyTo] {
		return nil
	}
	return s.result
}

const (
	unknown  known = iota
	Joined         // the delivery of a live job, whose task will settle it
	Finished       // the delivery of a job that was settled here lately
	Returned       // a dead letter sent again, or a message sent home, whose job is still being settled here
)
