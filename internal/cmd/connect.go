package cmd

import (
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// connect connects a container that has not started to those of its networks that it is not in: engines
// before API 1.44 take only one when it is created.
func (r *Run) connect(t *task, c dockerapi.Container) error {
	if len(r.networks) < 2 {
		return nil
	}
	for _, n := range r.networks {
		if slices.Contains(c.Networks, n.name) {
			continue
		}
		err := t.retry(func() error { return t.pool.Docker.ConnectNetwork(t.ctx, n.name, c.ID, n.endpoint) })
		if err != nil {
			return err
		}
	}
	return nil
}
