package dockerapi

import (
	"context"
	"errors"
	"strings"
)

// ImageExists reports whether the engine has an image. ref is a name with a tag (default latest), a digest, or an
// image id. A missing image is not an error.
func (c *Client) ImageExists(ctx context.Context, ref string) (bool, error) {
	r := newRequest(opInspectImage, ref)
	// The slashes in a reference stay slashes in the path.
	r.fill("{name}", "part of an image reference", strings.Split(ref, "/")...)
	err := c.do(ctx, r, &struct{}{})
	if errors.Is(err, ErrNoSuchImage) {
		return false, nil
	}
	return err == nil, err
}
