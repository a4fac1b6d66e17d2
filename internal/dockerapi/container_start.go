package dockerapi

import (
	"context"
	"net/http"
)

// StartContainer starts a created or stopped container, and returns when its
// command runs. Starting a running one does nothing; starting one that has ended
// runs it again, so that a start in doubt wants a look before it is made again.
//
// Where the command cannot be run the error is [ErrCommandNotFound] or
// [ErrNotExecutable]; the container stays, unstarted, with the text in
// [State.Error]. Other errors: [ErrNoSuchContainer], [ErrConflict] (paused, or
// being removed), and no kind for a missing network or a port in use.
//
// API: POST /containers/{id}/start.
func (c *Client) StartContainer(ctx context.Context, id string) error {
	r, err := container(opStart, http.MethodPost, id, "/start")
	if err != nil {
		return err
	}
	r.want = []int{http.StatusNoContent, http.StatusNotModified}
	r.limit = c.limits.change
	r.doubt = "it may have been started"
	// Not replayable: the second time, a container that has ended by then runs again.
	return c.do(ctx, r, nil)
}
