package dockerapi

import "context"

// A Network is an existing network.
type Network struct {
	Name string
	ID   string `json:"Id"`
}

// InspectNetwork returns the network that the engine takes ref for: a name, an id, or the beginning of an id. found is false
// if there is none.
func (c *Client) InspectNetwork(ctx context.Context, ref string) (n Network, found bool, err error) {
	found, err = c.find(ctx, opNetwork, "{id}", "network's name", ref, &n)
	return n, found, err
}
