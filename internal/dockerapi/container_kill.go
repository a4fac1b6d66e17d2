package dockerapi

import (
	"context"
	"net/http"
	"net/url"
)

// KillContainer sends a signal, by name with or without SIG or by number, to
// the command of a running container; "" is KILL, after which it returns when
// the container has ended. A paused container gets other signals when it goes
// on.
//
// Errors: [ErrNoSuchContainer]; [ErrConflict] (not running); [ErrInvalid] (no
// such signal).
//
// API: POST /containers/{id}/kill.
func (c *Client) KillContainer(ctx context.Context, id, signal string) error {
	r, err := container(opKill, http.MethodPost, id, "/kill")
	if err != nil {
		return err
	}
	if signal != "" {
		r.query = url.Values{"signal": {signal}}
	}
	r.want = []int{http.StatusNoContent}
	r.limit = c.limits.change
	r.doubt = "the signal may have been sent"
	// Not replayable: two of a signal are not one.
	return c.do(ctx, r, nil)
}
