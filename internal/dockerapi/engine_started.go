package dockerapi

import (
	"context"
	"time"
)

// EngineStarted returns when the engine's process was started: the creation time
// of the default bridge, which the engine makes at each start. The engine makes
// the bridge after it has looked at its containers and before it answers: the
// time can be seconds late. A missing bridge is an error. With live-restore the
// bridge survives, and Podman keeps it in a file: then the time is too early.
func (c *Client) EngineStarted(ctx context.Context) (time.Time, error) {
	r := newRequest(opNetwork, "bridge")
	r.fill("{id}", "network's name", "bridge")
	var answer struct{ Created time.Time }
	err := c.do(ctx, r, &answer)
	return answer.Created, err
}
