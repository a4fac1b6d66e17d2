package dockerapi

import "context"

// RemoveOptions are the settings of a removal.
type RemoveOptions struct {
	Volumes bool // also remove its anonymous volumes
	Force   bool // kill a running container
}

// RemoveContainer removes a container. Errors: [ErrNoSuchContainer] (already
// removed); [ErrRemovalInProgress] (another request is removing it);
// [ErrConflict] (running, without Force).
func (c *Client) RemoveContainer(ctx context.Context, id string, o RemoveOptions) error {
	r := container(opRemove, id)
	r.query.flag("force", o.Force)
	r.query.flag("v", o.Volumes)
	if o.Force && r.refused == nil && c.podman(ctx) {
		// Kill first: Podman alone would give the container its stop timeout,
		// 10 s. Ignore the error, because the removal reports a failure.
		c.StopContainer(ctx, id, StopOptions{Time: new(int)})
	}
	r.replayable = true // a replay gets ErrNoSuchContainer, which callers must expect anyway
	return c.do(ctx, r, nil)
}
