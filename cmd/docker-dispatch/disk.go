package main

import (
	"context"
	"fmt"
)

// free returns the folder of the engine's data, and how many bytes its disk has free.
func (d *daemon) free(ctx context.Context) (root string, free int64, err error) {
	info, err := d.client.Info(ctx)
	if err != nil {
		return "", 0, err
	}
	if free, err = freeBytes(info.DataRoot); err != nil {
		err = fmt.Errorf("the engine's data: %w; in a container, mount the folder read-only at the same path", err)
	}
	return info.DataRoot, free, err
}
