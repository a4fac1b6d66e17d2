package dockerapi

import (
	"context"
	"net/http"
	"net/url"
)

// RemoveOptions say how a container is removed.
type RemoveOptions struct {
	Volumes bool // its anonymous volumes too
	Force   bool // also if it runs: it is killed
}

// RemoveContainer removes a container. That it is gone already is
// [ErrNoSuchContainer], that someone else is removing it
// [ErrRemovalInProgress], that it runs and Force is not given [ErrConflict].
//
// API: DELETE /containers/{id}.
func (c *Client) RemoveContainer(ctx context.Context, id string, o RemoveOptions) error {
	r, err := container(opRemove, http.MethodDelete, id, "")
	if err != nil {
		return err
	}
	r.query = url.Values{}
	flag(r.query, "v", o.Volumes)
	flag(r.query, "force", o.Force)
	r.want = []int{http.StatusNoContent}
	r.limit = c.limits.change
	r.doubt = "it may have been removed"
	if o.Force && c.podman(ctx) {
		// By itself it would give the container its stop timeout, 10 s, to
		// end. Whatever comes of this, the removal tells.
		c.StopContainer(ctx, id, StopOptions{Time: new(int)})
	}
	r.replayable = true // the second time it is gone, which callers have to expect anyway
	return c.do(ctx, r, nil)
}
