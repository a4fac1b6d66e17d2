package cmd

import (
	"context"

	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
)

// A message may restart the container of a run. Then the run goes on: it is over when its container has exited and no restart is under way.

// awaitRestart waits until a restart of the container is over; nil: it is.
func (f *following) awaitRestart(ctx context.Context, by *live.Task) error {
	if by == nil {
		return nil
	}
	select {
	case <-by.Reached(live.Ended):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
