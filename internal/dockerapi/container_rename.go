package dockerapi

import (
	"context"
	"net/http"
)

// RenameContainer renames a container. Errors: [ErrNoSuchContainer];
// [ErrNameInUse]; [ErrConflict] (being removed).
//
// API: POST /containers/{id}/rename.
func (c *Client) RenameContainer(ctx context.Context, id, name string) error {
	r, err := container(opRename, id)
	if err != nil {
		return err
	}
	r.query.set("name", name)
	r.want = []int{http.StatusNoContent}
	r.limit = c.limits.change
	r.doubt = "it may have been renamed"
	return c.do(ctx, r, nil)
}
