package dockerapi

import "context"

// KillContainer sends a signal to the command of a running container. signal is
// a name with or without SIG, or a number. "" is KILL: KillContainer then
// returns after the container has exited. A paused container gets any other
// signal after it is unpaused.
//
// Errors: [ErrNoSuchContainer]; [ErrConflict] (not running); [ErrInvalid] (no
// such signal).
func (c *Client) KillContainer(ctx context.Context, id, signal string) error {
	r := container(opKill, id)
	r.query.set("signal", signal)
	// Not replayable: a signal sent twice is not the same as one sent once.
	return c.do(ctx, r, nil)
}
