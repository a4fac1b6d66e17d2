package cmd

import (
	"context"
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// quietFor is how long a queue must have been consumed and empty before a message that was lost with its
// connection is known not to be in it: what the broker holds for a connection that it does not know to
// be dead comes back within twice the heartbeat. Where the broker has ended the connection itself it is releasedFor.
const (
	quietFor    = 2 * time.Minute
	releasedFor = 3 * time.Second
)

// What a wait for a message to come again ends with.
const (
	deliveryCame  = iota // it has come
	deliveryStays        // the queue does not have it any more
	deliveryNever        // no more messages are taken
)

// A message that is lost has goneAfter to come again before its result is sent without it. Whether it can come is
// looked at every goneLook; a stop waits for the last look no longer than lastLook.
const (
	goneAfter = time.Minute
	goneLook  = 5 * time.Second
	lastLook  = 3 * time.Second
)

// awaitDelivery waits for the message of a finished job to come again, however long the broker is away. What the
// message had asked for does not wait that long: see goneAfter.
func (t *task) awaitDelivery(v Verdict, r event.Result) int {
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-t.arrived:
			return deliveryCame
		case <-t.superseded:
			return deliveryStays
		case <-t.pool.stopping:
			if _, ok := t.pool.jobs.present(t); ok {
				return deliveryCame
			}
			if _, _, missing := t.pool.jobs.given(t); missing { // there will be nobody who sends its result later
				if t.sendGone(v, r, 0) != nil {
					return deliveryNever
				}
				return deliveryStays
			}
			ctx, cancel := context.WithTimeout(t.ctx, lastLook)
			defer cancel()
			if t.quiet(ctx, v, r) {
				return deliveryStays
			}
			return deliveryNever
		case <-t.ctx.Done():
			return deliveryNever
		case <-look.C:
			if err := t.sendGone(v, r, goneAfter); err != nil {
				return deliveryNever
			}
			if t.quiet(t.ctx, v, r) {
				return deliveryStays
			}
			look.Reset(goneLook)
		}
	}
}

// quiet tells whether the message of a task whose deliveries are lost is surely not in its queue any more. What
// sendGone has to send is not given up before its time.
func (t *task) quiet(ctx context.Context, v Verdict, r event.Result) bool {
	if t.pool.Quiet == nil {
		return false
	}
	consumed, ok := t.pool.jobs.quietAfter(t)
	if !ok {
		return false
	}
	if !t.allSent(v, r) {
		consumed = quietFor
	}
	_, quiet := t.pool.Quiet(ctx, consumed)
	return quiet
}

// sendGone sends what is to be sent for a message that does not come again: the result to all who want it, and
// the dead letter or the next attempt. Should the message come all the same, only its ack is left to do. It does
// nothing before the message has had its time.
func (t *task) sendGone(v Verdict, r event.Result, patience time.Duration) error {
	jobs, since, missing := t.pool.jobs.given(t)
	if since.IsZero() || time.Since(since) < patience || t.allSent(v, r) {
		return nil // the connection may end again meanwhile
	}
	v = t.goneVerdict(v, r)
	why := "it did not come again within a minute"
	if missing {
		why = "there is no such queue any more"
	}
	t.log.Warn("the message is gone: "+why+"; its result is sent all the same", "queue", t.queue, "container", t.name)
	for _, j := range jobs {
		if j.Abandon != nil {
			j.Abandon()
		}
		if err := t.store(j, v, r); err != nil && !errors.Is(err, ErrDeliveryLost) {
			return err
		}
	}
	return nil
}

// goneVerdict is the verdict on a message that does not come again.
func (t *task) goneVerdict(v Verdict, r event.Result) Verdict {
	if t.traits.Runs && v == DeadLetter && r.Reason == event.ReasonNoSuchContainer {
		return Ack // whoever has the message has done the job, and removed the container
	}
	return v
}
