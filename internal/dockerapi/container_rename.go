package dockerapi

import "context"

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
	return c.do(ctx, r, nil)
}
