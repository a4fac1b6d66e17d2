package cmd

import (
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// connect connects a container that has not started to those of its networks that it is not in: engines
// before API 1.44 take only one when it is created.
func (f *following) connect(c dockerapi.Container) error {
	if len(f.run.networks) < 2 {
		return nil
	}
	for _, n := range f.run.networks {
		if slices.Contains(c.Networks, n.name) {
			continue
		}
		err := f.retry(func() error { return f.pool.Docker.ConnectNetwork(f.ctx, n.name, f.id, n.endpoint) })
		if err != nil {
			return err
		}
	}
	return nil
}
