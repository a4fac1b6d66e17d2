package dockerapi

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// StopOptions say how a container is stopped, or stopped and started again.
type StopOptions struct {
	// Time is how many seconds the container gets between its stop signal and
	// the kill. Nil is the container's own (10 unless it was created with
	// another), 0 kills at once, -1 never kills.
	Time *int

	// Own is the container's own time, as Container.StopTimeout has it. It only
	// says how long the engine may take where Time is nil.
	Own *int

	// Signal is the stop signal, such as "SIGINT"; "" is the container's own.
	// It needs API 1.42 (Docker Engine 23.0); Podman does not heed it.
	Signal string
}

// StopContainer stops a container, and returns when it has stopped. Stopping a
// stopped one does nothing.
//
// It waits for the engine for Time, else Own, else 10 seconds, and 30 seconds
// more; where that is -1 only ctx limits it. Cancelling does not undo the signal that was sent.
//
// Errors: [ErrNoSuchContainer]; [ErrInvalid] (no such signal, or Signal given
// and the engine too old for it).
//
// API: POST /containers/{id}/stop.
func (c *Client) StopContainer(ctx context.Context, id string, o StopOptions) error {
	r, err := container(opStop, http.MethodPost, id, "/stop")
	if err != nil {
		return err
	}
	c.graceful(r, o)
	r.want = []int{http.StatusNoContent, http.StatusNotModified}
	r.doubt = "it may have been stopped"
	r.replayable = true // the second time is 304
	return c.do(ctx, r, nil)
}

// graceful puts the options into r, and how long they may take.
func (c *Client) graceful(r *request, o StopOptions) {
	r.query = url.Values{}
	if o.Time != nil {
		r.query.Set("t", strconv.Itoa(*o.Time))
	}
	if grace := *cmp.Or(o.Time, o.Own, new(10)); grace >= 0 {
		r.limit = time.Duration(min(grace, maxGrace))*time.Second + c.limits.stop
	}
	if o.Signal != "" {
		r.query.Set("signal", o.Signal)
		r.needs = append(r.needs, need{"the option Signal", "1.42"})
	}
}

// maxGrace keeps a time.Duration from overflowing, in seconds.
const maxGrace = math.MaxInt32
