package cmd

import (
	"context"
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
)

// The outcomes of awaitDelivery.
const (
	deliveryCame  = iota // a delivery can be answered
	deliveryStays        // none is needed: the queue lacks the message, or another task has taken it over
	deliveryNever        // the process stops
)

// A lost message has goneAfter to be redelivered before its result is sent without it. The queue is checked every
// goneLook. When the process stops, the last check takes at most lastLook.
const (
	goneAfter = time.Minute
	goneLook  = 5 * time.Second
	lastLook  = 3 * time.Second
)

// awaitDelivery waits until the message of a finished job is redelivered, however long the broker is away. Its result,
// dead letter or next attempt does not wait that long: see goneAfter.
func (t *task) awaitDelivery(v intake.Verdict, r *event.Result) int {
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-t.Arrived:
			return deliveryCame
		case <-t.Superseded:
			return deliveryStays
		case <-t.pool.stopping:
			if _, ok := t.Present(); ok {
				return deliveryCame
			}
			if _, _, missing := t.Given(); missing { // no later process would send the result
				if t.sendGone(v, r, 0) != nil {
					return deliveryNever
				}
				return deliveryStays
			}
			ctx, cancel := context.WithTimeout(t.Ctx, lastLook)
			defer cancel()
			if t.quiet(ctx, v, r) {
				return deliveryStays
			}
			return deliveryNever
		case <-t.Ctx.Done():
			return deliveryNever
		case <-look.C:
			if err := t.sendGone(v, r, goneAfter); err != nil {
				return deliveryNever
			}
			if t.quiet(t.Ctx, v, r) {
				return deliveryStays
			}
			look.Reset(goneLook)
		}
	}
}

// quiet reports whether the message of a task whose deliveries are lost is certainly not in its queue any more. While
// sendGone still has something to send, quiet takes live.QuietFor, because sendGone must come first.
func (t *task) quiet(ctx context.Context, v intake.Verdict, r *event.Result) bool {
	if t.pool.Quiet == nil {
		return false
	}
	consumed, ok := t.QuietAfter()
	if !ok {
		return false
	}
	if !t.allSent(v, r) {
		consumed = live.QuietFor
	}
	if t.Control { // Quiet does not look at the control queue; who consumes it gets all that is in it
		if _, since, _ := t.Given(); since.IsZero() || time.Since(since) < consumed {
			return false
		}
	}
	_, quiet := t.pool.Quiet(ctx, consumed)
	return quiet
}

// sendGone sends the result, and the dead letter or the next attempt, of a message that is not redelivered. It does
// nothing before the message could have been redelivered for as long as patience. If the message is redelivered after
// all, only its ack is left to do.
func (t *task) sendGone(v intake.Verdict, r *event.Result, patience time.Duration) error {
	jobs, since, missing := t.Given()
	if since.IsZero() || time.Since(since) < patience || t.allSent(v, r) {
		return nil // too early, or done; a connection that ends again starts the wait over
	}
	v = t.goneVerdict(v, r)
	why := "it was not redelivered within a minute"
	if missing {
		why = "its queue does not exist any more"
	}
	t.Log.Warn("the message is gone: "+why+"; its result is sent all the same", "queue", t.Queue, "container", t.Name)
	for _, j := range jobs {
		if j.Abandon != nil {
			j.Abandon()
		}
		if err := t.store(j, v, r); err != nil && !errors.Is(err, intake.ErrDeliveryLost) {
			return err
		}
	}
	return nil
}

// goneVerdict returns the verdict on a message that is not redelivered.
func (t *task) goneVerdict(v intake.Verdict, r *event.Result) intake.Verdict {
	if t.Traits.Runs && v == intake.DeadLetter && r.Reason == event.ReasonNoSuchContainer {
		return intake.Ack // another process has got the message, done the job and removed the container
	}
	return v
}
