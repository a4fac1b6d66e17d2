package dockerapi

import "context"

// ConnectNetwork connects a container to another network. If a running container is already connected, the engine
// returns an error. Errors: [ErrNoSuchContainer].
func (c *Client) ConnectNetwork(ctx context.Context, network, id string, e EndpointSettings) error {
	r := newRequest(opConnect, id)
	r.fill("{id}", "network's name", network)
	r.marshal(struct {
		Container      string
		EndpointConfig EndpointSettings
	}{id, e})
	return c.do(ctx, r, nil)
}
