package dockerapi

import "context"

// PauseContainer freezes all processes of a running container, until
// [Client.UnpauseContainer]. Errors: [ErrNoSuchContainer]; [ErrConflict] (not
// running, or already paused).
func (c *Client) PauseContainer(ctx context.Context, id string) error {
	// Not replayable: the second request would get a conflict. The same holds for unpause.
	return c.do(ctx, container(opPause, id), nil)
}

// UnpauseContainer resumes a paused container. Errors: [ErrNoSuchContainer];
// [ErrConflict] (not paused).
func (c *Client) UnpauseContainer(ctx context.Context, id string) error {
	return c.do(ctx, container(opUnpause, id), nil)
}
