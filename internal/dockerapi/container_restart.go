package dockerapi

import "context"

// RestartContainer stops a container, as [Client.StopContainer] does, and starts
// it again. A stopped container is only started. RestartContainer returns when
// the command runs. The time limit is that of a stop plus that of a start.
//
// Errors: [ErrNoSuchContainer]; [ErrInvalid] (no such signal). If the start fails,
// the container is stopped and the error is one of [Client.StartContainer].
func (c *Client) RestartContainer(ctx context.Context, id string, o StopOptions) error {
	r := container(opRestart, id)
	c.graceful(r, o)
	r.limit += c.limits.change
	// Not replayable: a second restart would run the command once more.
	return c.do(ctx, r, nil)
}
