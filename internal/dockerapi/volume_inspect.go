package dockerapi

import (
	"context"
	"errors"
	"net/http"
)

// A Volume is what the engine tells of a volume.
type Volume struct {
	Name    string
	Driver  string            // "local", or a plugin's
	Options map[string]string // of the driver; with "local" they can name any path of the host
}

// InspectVolume returns a volume. found is false if there is none of the name.
func (c *Client) InspectVolume(ctx context.Context, name string) (v Volume, found bool, err error) {
	found, err = c.find(ctx, opVolume, "{name}", "volume's name", name, &v)
	return v, found, err
}

// find reads the object of that name, which the engine may not have.
func (c *Client) find(ctx context.Context, op, placeholder, what, name string, to any) (found bool, err error) {
	r := newRequest(op, name)
	r.fill(placeholder, what, name)
	err = c.do(ctx, r, to)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}
