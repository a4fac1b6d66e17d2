package dockerapi

import "context"

// DataRoot returns the folder in which the engine keeps its data, on its own host.
func (c *Client) DataRoot(ctx context.Context) (string, error) {
	r := newRequest(opInfo, "")
	var answer struct{ DockerRootDir string }
	err := c.do(ctx, r, &answer)
	return answer.DockerRootDir, err
}
