package container

import (
	"errors"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/layers"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func (t *Work) doPull(p *message.Pull) (*event.Result, error) {
	err := t.Carrier.Hosts.ClaimPull(&t.Task, p.Placement)
	if err == nil {
		err = t.pull(p.Image, p.Platform, false)
	}
	r, err := t.ContainerResult("", err)
	if err == nil {
		r.Image = p.Image
	}
	return r, err
}

// pulls holds the pulls under way: two pulls of one image would do the same work twice. The zero pulls are none.
type pulls struct {
	mu     sync.Mutex
	flight map[string]*pullFlight
}

type pullFlight struct {
	of     string // the image and the platform
	layers layers.Layers
	done   chan struct{} // closed when err is set
	err    error
}

// join returns the pull under way, or a new one that the caller must lead.
func (p *pulls) join(of string) (f *pullFlight, lead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f = p.flight[of]
	if lead = f == nil; lead {
		if p.flight == nil {
			p.flight = make(map[string]*pullFlight)
		}
		f = &pullFlight{of: of, done: make(chan struct{})}
		p.flight[of] = f
	}
	return f, lead
}

// pull pulls an image, or waits for a pull of the image that is under way. missing: the engine could not create the container
// without the image.
func (t *Work) pull(image, platform string, missing bool) error {
	of := flagval.FullName(image) + "\x00" + platform
	show := t.showPull(image, missing)
	for {
		f, lead := t.Carrier.pulls.join(of)
		again, err := t.pullIn(f, lead, image, platform, show)
		if !again {
			show.end(&f.layers, err)
			return err
		}
	}
}

// pullIn takes part in a pull, and shows it meanwhile. again: another job led the pull and gave it up, so the image is still
// to be pulled.
func (t *Work) pullIn(f *pullFlight, lead bool, image, platform string, show *pullShow) (again bool, err error) {
	defer show.during(&f.layers)()
	if lead {
		t.Carrier.pulls.lead(f, func() error { return t.pullAlone(image, platform, &f.layers) })
		return false, f.err
	}
	t.Log.Debug("image is being pulled for another job; waiting", "image", image)
	select {
	case <-f.done:
		return f.err != nil && final(f.err), f.err
	case <-t.Cancelled:
		return false, live.ErrCancelled
	case <-t.Ctx.Done():
		return false, t.Ctx.Err()
	}
}

// lead calls pull and passes its error to all waiters, also if pull panics.
func (p *pulls) lead(f *pullFlight, pull func() error) {
	f.err = live.ErrNotBegun
	defer func() {
		p.mu.Lock()
		delete(p.flight, f.of)
		p.mu.Unlock()
		close(f.done)
	}()
	f.err = pull()
}

func (t *Work) pullAlone(image, platform string, l *layers.Layers) error {
	t.Log.Info("pulling image", "image", image)
	start := time.Now()
	ctx, stop := closed.Context(t.Ctx, t.Cancelled)
	defer stop()
	err := t.tryIn(ctx, func() error {
		o := dockerapi.PullOptions{Platform: platform}
		if t.Carrier.Credentials != nil {
			var err error
			if o.Auth, err = t.Carrier.Credentials(ctx, image); err != nil {
				return err
			}
		}
		return t.Carrier.Docker.PullImage(ctx, image, o, func(p dockerapi.PullProgress) {
			l.Step(p)
			t.Log.Debug("pulling image", "image", image, "layer", p.ID, "progress", p.Status, "bytes", p.Current, "of", p.Total)
		})
	}, false)
	switch {
	case err == nil:
		t.Log.Info("image pulled", "image", image, "took", time.Since(start).Round(time.Millisecond))
		return nil
	case t.WasCancelled():
		return live.ErrCancelled
	case final(err):
		return err
	case errors.Is(err, dockerapi.ErrUnauthorized), errors.Is(err, dockerapi.ErrInvalid):
		return &pullError{err} // registries answer this for an image that does not exist, too
	}
	return err
}

// A pullError is an ErrNoSuchImage that the registry or the engine has reported as another kind of error.
type pullError struct{ err error }

func (e *pullError) Error() string { return e.err.Error() }

func (e *pullError) Unwrap() error { return e.err }

func (e *pullError) Is(target error) bool { return target == dockerapi.ErrNoSuchImage }

// pullShown is the shortest time between two events of a pull for one job, except the last.
const pullShown = 500 * time.Millisecond

// A pullShow shows a job's publisher how far the pull of the job's image is. The methods are called one after the other.
type pullShow struct {
	work *Work
	last event.Pull // the event that was shown last
	n    int        // how many events were shown
}

func (t *Work) showPull(image string, missing bool) *pullShow {
	return &pullShow{work: t, last: event.Pull{
		Job: t.ID, Command: t.Traits.Verb, Host: t.Carrier.Host, Image: image, Attempt: t.ShownAttempt(), Missing: missing,
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
	s.work.Carrier.Reporter.Pull(e)
	s.work.Live.Pull(e, s.n)
	s.n++
}
