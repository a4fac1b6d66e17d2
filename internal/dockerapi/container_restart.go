package dockerapi

import (
	"context"
	"net/http"
)

// RestartContainer stops a container, as [Client.StopContainer] does, and starts
// it again; one that is stopped is started. It returns when its command runs.
// The time that it waits is that of a stop and of a start.
//
// Errors: [ErrNoSuchContainer]; [ErrInvalid] (no such signal); those of
// [Client.StartContainer] where it cannot be started again: it is then stopped.
//
// API: POST /containers/{id}/restart.
func (c *Client) RestartContainer(ctx context.Context, id string, o StopOptions) error {
	r, err := container(opRestart, http.MethodPost, id, "/restart")
	if err != nil {
		return err
	}
	c.graceful(r, o)
	if r.limit > 0 {
		r.limit += c.limits.change
	}
	r.want = []int{http.StatusNoContent}
	r.doubt = "it may have been restarted"
	// Not replayable: each restart runs it once more.
	return c.do(ctx, r, nil)
}
