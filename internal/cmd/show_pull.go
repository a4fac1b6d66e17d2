package cmd

import (
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/layers"
)

// pullShown is the shortest time between two events of a pull for one job, except the last.
const pullShown = 500 * time.Millisecond

// A pullShow shows a job's publisher how far the pull of the job's image is. The methods are called one after the other.
type pullShow struct {
	work *work
	last event.Pull // the event that was shown last
	n    int        // how many events were shown
}

func (t *work) showPull(image string, missing bool) *pullShow {
	return &pullShow{work: t, last: event.Pull{
		Job: t.ID, Command: t.Traits.Verb, Host: t.carrier.Host, Image: image, Attempt: t.ShownAttempt(), Missing: missing,
	}}
}

// during shows how far a pull is, at once and after each change, until the function that it returns is called. It has a
// goroutine, because a slow reader of the events must not slow the pull.
func (s *pullShow) during(l *layers.Layers) (stop func()) {
	over := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() {
		for {
			s.show(event.Pulling, l.Now())
			select {
			case <-time.After(pullShown):
			case <-over:
				return
			}
		}
	})
	return func() {
		close(over)
		showing.Wait()
	}
}

// end shows the end of a pull. A job that is given back, or was cancelled, has none.
func (s *pullShow) end(l *layers.Layers, err error) {
	switch {
	case err == nil:
		s.show(l.Pulled())
	case !final(err):
		s.show(event.PullFailed, l.Now())
	}
}

// show shows an event, unless it says the same as the last one.
func (s *pullShow) show(status event.PullStatus, l event.Progress) {
	e := s.last
	e.Status, e.Progress = status, l
	if e == s.last {
		return
	}
	s.last = e
	s.work.carrier.Reporter.Pull(e)
	s.work.live.Pull(e, s.n)
	s.n++
}
