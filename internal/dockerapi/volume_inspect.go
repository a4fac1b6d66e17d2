package dockerapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// A Volume is an existing volume.
type Volume struct {
	Name    string
	Driver  string            // "local", or a plugin's
	Options map[string]string // of the driver; with "local" they can name any path of the host
}

// InspectVolume returns a volume. found is false if there is none of the name.
//
// API: GET /volumes/{name}.
func (c *Client) InspectVolume(ctx context.Context, name string) (v Volume, found bool, err error) {
	found, err = c.find(ctx, opInspectVolume, "volume's name", "/volumes/", name, &v)
	return v, found, err
}

// find reads the object of that name, which the engine may not have.
func (c *Client) find(ctx context.Context, op, what, path, name string, to any) (found bool, err error) {
	r := &request{op: op, target: name, method: http.MethodGet, want: []int{http.StatusOK}, limit: c.limits.read}
	if err := r.checkSegment(what, name); err != nil {
		return false, err
	}
	r.path = path + url.PathEscape(name)
	err = c.do(ctx, r, to)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}
