package dockerapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// ConnectNetwork connects a container to another network. If the container is already connected, the engine
// returns an error. Errors: [ErrNoSuchContainer].
//
// API: POST /networks/{id}/connect.
func (c *Client) ConnectNetwork(ctx context.Context, network, id string, e EndpointSettings) error {
	r := &request{
		op: opConnect, target: id,
		method: http.MethodPost,
		want:   []int{http.StatusOK}, limit: c.limits.change,
		doubt: "it may have been connected",
	}
	if err := r.checkSegment("network's name", network); err != nil {
		return err
	}
	r.path = "/networks/" + url.PathEscape(network) + "/connect"
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
