package dockerapi

import (
	"cmp"
	"context"
	"math"
	"strconv"
	"time"
)

// StopOptions are the settings of a stop or restart.
type StopOptions struct {
	// Time is the seconds between the stop signal and the kill. Nil is the
	// container's StopTimeout (10 unless set at creation), 0 kills at once, -1
	// never kills.
	Time *int

	// Own is the container's StopTimeout, as in Container.StopTimeout. Own only
	// decides how long to wait for the engine if Time is nil.
	Own *int

	// Signal is the stop signal, such as "SIGINT"; "" is the container's
	// StopSignal. Signal needs API 1.42 (Docker Engine 23.0); Podman ignores it.
	Signal string
}

// StopContainer stops a container, and returns when it has stopped. Stopping a stopped
// container does nothing.
//
// StopContainer waits for Time, else Own, else 10 seconds, and 30 seconds more.
// If Time, else Own, is -1, only ctx limits the wait. Cancelling does not undo a signal already sent.
//
// Errors: [ErrNoSuchContainer]; [ErrInvalid] (no such signal, or the engine is too old for
// Signal).
func (c *Client) StopContainer(ctx context.Context, id string, o StopOptions) error {
	r := container(opStop, id)
	c.graceful(r, o)
	r.replayable = true // a replay gets 304
	return c.do(ctx, r, nil)
}

// graceful puts the options and the limit of the call into r.
func (c *Client) graceful(r *request, o StopOptions) {
	if o.Signal != "" {
		r.query.set("signal", o.Signal)
		r.needs = append(r.needs, need{"the option Signal", "1.42"})
	}
	if o.Time != nil {
		r.query.set("t", strconv.Itoa(*o.Time))
	}
	grace := *cmp.Or(o.Time, o.Own, new(10))
	if grace < 0 || grace > maxGrace {
		grace = maxGrace
	}
	r.limit = time.Duration(grace)*time.Second + c.limits.stop
}

// maxGrace stands for no limit, in seconds: a time.Duration does not overflow.
const maxGrace = math.MaxInt32
