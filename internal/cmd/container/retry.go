package container

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// maxRetries bounds how often a call is repeated after an engine error that may pass.
const maxRetries = 5

// try calls f until the engine has given a final answer, and waits while the engine is away. It repeats f at most
// maxRetries times after errors that may pass. The same bound holds for broken answers of a reachable engine, and for
// calls that may have killed the engine.
func (t *Work) try(f func() error) error { return t.tryIn(t.Ctx, f, false) }

// tryLong is try for a call that may last for days: a call that lasted resets the counts.
func (t *Work) tryLong(f func() error) error { return t.tryIn(t.Ctx, f, true) }

// tryIn is try, or tryLong if long, with pauses that end with ctx.
func (t *Work) tryIn(ctx context.Context, f func() error, long bool) error {
	for broken, lost := 0, 0; ; {
		began := time.Now()
		err := t.retryIn(ctx, f)
		if !errors.Is(err, dockerapi.ErrUnreachable) {
			t.begins()
			return err
		}
		if long && time.Since(began) > engine.Steady {
			broken, lost = 0, 0
		}
		sent := !engine.NeverSent(err)
		if sent {
			t.begins()
		}
		answers := t.Carrier.Engine.Answers(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if answers {
			if broken == maxRetries {
				t.begins()
				return &brokenError{err: err}
			}
			t.Log.Warn("engine broke off its answer; trying again", "error", err)
			if err := delay.Sleep(ctx, delay.Backoff(broken, t.Carrier.RetryFirst, time.Minute)); err != nil {
				return err
			}
			broken++
			continue
		}
		broken = 0
		t.Carrier.Engine.Lost(err)
		if !sent && t.At() < live.Begun {
			t.To(live.Waiting)
			if !t.Carrier.Begin(&t.Task) {
				return t.NotBegun()
			}
			continue
		}
		if sent {
			if lost == maxRetries {
				return &brokenError{err: err, lost: true}
			}
			lost++
		}
		t.Log.Debug("engine call failed; waiting for the engine", "error", err)
		if err := t.Carrier.Engine.Wait(ctx); err != nil {
			return err
		}
	}
}

// begins records that the engine may have been told something.
func (t *Work) begins() { t.To(live.Begun) }

// A brokenError ends a job whose call and its repeats were not answered. The engine is there, or it was lost each time,
// perhaps because of this very call.
type brokenError struct {
	err  error
	lost bool
}

// No Unwrap: the error must not match ErrUnreachable, because waiting for the engine does not help any more.
func (e *brokenError) Error() string {
	what := "the engine answers pings, but not this call"
	if e.lost {
		what = "the engine was lost each time, perhaps because of this call"
	}
	return fmt.Sprintf("given up after %[2]d attempts: %[1]s: %[3]v", what, maxRetries+1, e.err)
}

const (
	registryFirst = 20 * time.Second // first delay after ErrTooManyRequests of a registry; see backoff
	registryMost  = 5 * time.Minute
)

// retry calls f, and repeats it at most maxRetries times while its error is ErrTemporary.
func (t *Work) retry(f func() error) error { return t.retryIn(t.Ctx, f) }

func (t *Work) retryIn(ctx context.Context, f func() error) error {
	for n := 0; ; n++ {
		err := f()
		if !errors.Is(err, dockerapi.ErrTemporary) || n == maxRetries {
			return err
		}
		t.Log.Warn("engine error that may pass; trying again", "error", err)
		first, most := t.Carrier.RetryFirst, time.Minute
		if errors.Is(err, dockerapi.ErrTooManyRequests) {
			first, most = registryFirst, registryMost
		}
		if err := delay.Sleep(ctx, delay.Backoff(n, first, most)); err != nil {
			return err
		}
	}
}

// ask is try for a call that returns something.
func ask[T any](t *Work, call func() (T, error)) (v T, err error) {
	err = t.try(func() (err error) {
		v, err = call()
		return err
	})
	return v, err
}

// askIfTold is ask for what the engine may not tell: then it returns the zero value. Its error is final.
func askIfTold[T any](t *Work, what string, call func() (T, error)) (v T, err error) {
	v, err = ask(t, call)
	if err != nil && !final(err) {
		t.Log.Debug("the engine does not tell "+what, "container", t.Name, "error", err)
		return *new(T), nil
	}
	return v, err
}

// Inspect returns the container ref. It asks the engine by try.
func (t *Work) Inspect(ref string) (dockerapi.Container, error) {
	return ask(t, func() (dockerapi.Container, error) { return t.Carrier.Docker.InspectContainer(t.Ctx, ref) })
}
