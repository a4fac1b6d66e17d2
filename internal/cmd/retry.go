package cmd

import (
	"errors"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// maxRetries bounds how often an engine error that may pass is tried again.
const maxRetries = 5

// try calls f until the engine has given an answer that is final. While the engine is away it
// waits; an error that may pass is tried again a few times.
func (t *task) try(f func() error) error {
	for {
		err := t.retry(f)
		if !errors.Is(err, dockerapi.ErrUnreachable) {
			t.begun = true
			return err
		}
		t.pool.engine.lost(err)
		if !t.begun && neverSent(err) {
			if t.unbegin() {
				return t.notBegun()
			}
			continue
		}
		t.begun = true
		t.log.Debug("engine call failed; waiting for the engine", "error", err)
		if err := t.pool.engine.wait(t.ctx); err != nil {
			return err
		}
	}
}

// lostTooOften ends a job that may be what the engine dies of: it is not tried for ever.
func lostTooOften(err error) error {
	// Not wrapped: it is no longer an error that waiting for the engine helps.
	return fmt.Errorf("given up: the engine was lost %d times while it carried this out: %v", maxRetries+1, err)
}

// retry calls f again while its error is one that may pass, a few times.
func (t *task) retry(f func() error) error {
	for n := 0; ; n++ {
		err := f()
		if !errors.Is(err, dockerapi.ErrTemporary) || n == maxRetries {
			return err
		}
		t.log.Warn("engine error that may pass; trying again", "error", err)
		if err := pause(t.ctx, backoff(n, t.pool.retryFirst, time.Minute)); err != nil {
			return err
		}
	}
}

// inspect looks at the container ref.
func (t *task) inspect(ref string) (c dockerapi.Container, err error) {
	err = t.try(func() (err error) {
		c, err = t.pool.Docker.InspectContainer(t.ctx, ref)
		return err
	})
	return c, err
}

// gone waits until the container ref is no more.
func (t *task) gone(ref string) error {
	for n := 0; ; n++ {
		_, err := t.pool.Docker.InspectContainer(t.ctx, ref)
		if errors.Is(err, dockerapi.ErrNoSuchContainer) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := pause(t.ctx, backoff(n, 50*time.Millisecond, 2*time.Second)); err != nil {
			return err
		}
	}
}
