package cmd

import "context"

// A message may restart the container of a run. Then the run goes on: it is over when its container has exited and no restart is under way.

// awaitRestart waits until a restart of the container is over; nil: it is.
func (f *following) awaitRestart(ctx context.Context, by *task) error {
	if by == nil {
		return nil
	}
	select {
	case <-by.reached(phaseEnded):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
