package dockerapi

import (
	"context"
	"encoding/json"
)

// ConnectNetwork connects a container to another network. If the container is already connected, the engine
// returns an error. Errors: [ErrNoSuchContainer].
//
// API: POST /networks/{id}/connect.
func (c *Client) ConnectNetwork(ctx context.Context, network, id string, e EndpointSettings) error {
	r := newRequest(opConnect, id)
	if err := r.fill("{id}", "network's name", network); err != nil {
		return err
	}
	var err error
	r.body, err = json.Marshal(struct {
		Container      string
		EndpointConfig EndpointSettings
	}{id, e})
	if err != nil {
		return r.refuse("%v", err)
	}
	return c.do(ctx, r, nil)
}
