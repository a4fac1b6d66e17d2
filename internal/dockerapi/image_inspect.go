package dockerapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// ImageExists reports whether the engine has an image. ref is a name with a tag (default latest), a digest, or an
// image id. A missing image is not an error.
//
// API: GET /images/{ref}/json.
func (c *Client) ImageExists(ctx context.Context, ref string) (bool, error) {
	r := &request{
		op: opInspectImage, target: ref,
		method: http.MethodGet,
		want:   []int{http.StatusOK}, limit: c.limits.read,
	}
	// The slashes in a reference stay slashes in the path.
	var path strings.Builder
	for segment := range strings.SplitSeq(ref, "/") {
		if err := r.checkSegment("part of an image reference", segment); err != nil {
			return false, err
		}
		path.WriteString("/" + url.PathEscape(segment))
	}
	r.path = "/images" + path.String() + "/json"
	err := c.do(ctx, r, &struct{}{})
	if errors.Is(err, ErrNoSuchImage) {
		return false, nil
	}
	return err == nil, err
}
