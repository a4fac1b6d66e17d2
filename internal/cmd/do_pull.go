package cmd

import (
	"errors"
	"sync"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func (t *task) doPull(p *message.Pull) (*event.Result, error) {
	err := t.pull(p.Image, p.Platform)
	if err != nil && final(err) {
		return nil, err
	}
	r := t.result()
	r.Image = p.Image
	setDone(r, err)
	return r, nil
}

// pulls holds the pulls under way: two pulls of one image would do the same work twice.
type pulls struct {
	mu     sync.Mutex
	flight map[string]*pullFlight
}

type pullFlight struct {
	done chan struct{} // closed when err is set
	err  error
}

// pull pulls an image, or waits for a pull of the image that is under way.
func (t *task) pull(image, platform string) error {
	p := &t.pool.pulls
	of := flagval.FullName(image) + "\x00" + platform
	for {
		p.mu.Lock()
		f := p.flight[of]
		lead := f == nil
		if lead {
			f = &pullFlight{done: make(chan struct{})}
			p.flight[of] = f
		}
		p.mu.Unlock()
		if lead {
			p.lead(of, f, func() error { return t.pullAlone(image, platform) })
			return f.err
		}
		t.log.Debug("image is being pulled for another job; waiting", "image", image)
		select {
		case <-f.done:
		case <-t.cancelled:
			return errCancelled
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
		if f.err == nil || !final(f.err) { // otherwise the other job was requeued, cancelled or left: pull again
			return f.err
		}
	}
}

// lead calls pull and passes its error to all waiters, also if pull panics.
func (p *pulls) lead(of string, f *pullFlight, pull func() error) {
	f.err = errNotBegun
	defer func() {
		p.mu.Lock()
		delete(p.flight, of)
		p.mu.Unlock()
		close(f.done)
	}()
	f.err = pull()
}

func (t *task) pullAlone(image, platform string) error {
	t.log.Info("pulling image", "image", image)
	start := time.Now()
	ctx, stop := t.cancellable()
	defer stop()
	err := t.tryIn(ctx, func() error {
		o := dockerapi.PullOptions{Platform: platform}
		if t.pool.Credentials != nil {
			var err error
			if o.Auth, err = t.pool.Credentials(ctx, image); err != nil {
				return err
			}
		}
		return t.pool.Docker.PullImage(ctx, image, o, func(p dockerapi.PullProgress) {
			t.log.Debug("pulling image", "image", image, "layer", p.ID, "progress", p.Status, "bytes", p.Current, "of", p.Total)
		})
	}, false)
	switch {
	case err == nil:
		t.log.Info("image pulled", "image", image, "took", time.Since(start).Round(time.Millisecond))
		return nil
	case t.wasCancelled():
		return errCancelled
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
