package dockerapi

import "context"

// PauseContainer freezes all processes of a running container, until
// [Client.UnpauseContainer]. Errors: [ErrNoSuchContainer]; [ErrConflict] (not
// running, or already paused).
func (c *Client) PauseContainer(ctx context.Context, id string) error {
	return c.freeze(ctx, opPause, id)
}

// UnpauseContainer resumes a paused container. Errors: [ErrNoSuchContainer];
// [ErrConflict] (not paused).
func (c *Client) UnpauseContainer(ctx context.Context, id string) error {
	return c.freeze(ctx, opUnpause, id)
}

func (c *Client) freeze(ctx context.Context, op, id string) error {
	r := container(op, id)
	// Not replayable: the second request would get a conflict.
	return c.do(ctx, r, nil)
}
