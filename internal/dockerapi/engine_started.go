package dockerapi

import (
	"context"
	"net/http"
	"time"
)

// EngineStarted returns when the engine's process was started, to within the
// seconds that it takes: each time it makes its default bridge anew, behind a
// look at its containers and before it answers. It is an error where there is no
// such bridge. An engine whose containers outlive it (live-restore) keeps the
// bridge, and with Podman it is a file; the time is too early then.
//
// API: GET /networks/{id}.
func (c *Client) EngineStarted(ctx context.Context) (time.Time, error) {
	r := &request{
		op: opNetwork, target: "bridge",
		method: http.MethodGet, path: "/networks/bridge",
		want: []int{http.StatusOK}, limit: c.limits.read,
	}
	var answer struct{ Created time.Time }
	err := c.do(ctx, r, &answer)
	return answer.Created, err
}
