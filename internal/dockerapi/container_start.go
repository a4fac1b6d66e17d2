package dockerapi

import "context"

// StartContainer starts a created or stopped container, and returns when its
// command runs. Starting a running container does nothing. Starting an exited
// container runs it again: inspect it before you repeat a start in doubt.
//
// If the command cannot run, the error is [ErrCommandNotFound] or
// [ErrNotExecutable]. The container then stays unstarted, with the text in
// [State.Error]. Other errors: [ErrNoSuchContainer], [ErrConflict] (paused, or
// being removed), [ErrInvalid] (a container whose namespace it joins is missing).
// A missing network or a port in use has no kind.
func (c *Client) StartContainer(ctx context.Context, id string) error {
	// Not replayable: if the container has exited by then, a replay would run it again.
	return c.do(ctx, container(opStart, id), nil)
}
