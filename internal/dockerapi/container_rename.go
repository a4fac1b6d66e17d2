package dockerapi

import "context"

// RenameContainer renames a container. Errors: [ErrNoSuchContainer];
// [ErrNameInUse]; [ErrConflict] (being removed).
func (c *Client) RenameContainer(ctx context.Context, id, name string) error {
	r := container(opRename, id)
	r.query.set("name", name)
	return c.do(ctx, r, nil)
}
