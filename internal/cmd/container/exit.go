package container

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// isOver reports whether the container has ended or was removed.
func (f *following) isOver(ctx context.Context) bool {
	c, err := f.Carrier.Docker.InspectContainer(ctx, f.id)
	return err == nil && c.State.Ended() || errors.Is(err, dockerapi.ErrNoSuchContainer)
}

// An excess is why a container was stopped: it went over a limit.
type excess struct {
	reason string // of the result
	limit  string
	what   string
}

func tooLong(limit time.Duration) *excess {
	return &excess{event.ReasonTimeout, limit.String(), fmt.Sprintf("stopped after %v, the longest it may run", limit)}
}

func tooMuch(limit int64) *excess {
	return &excess{event.ReasonOutput, fmt.Sprint(limit, " bytes"), fmt.Sprintf("killed after %d bytes of output, the most it may write", limit)}
}

// exceeds records why the container is stopped; the first reason counts.
func (f *following) exceeds(e *excess) {
	if f.over == nil {
		f.over = e
		f.Log.Warn("container exceeded a limit; stopping it", "container", f.Name, "limit", e.limit)
	}
}

// floods records that the container has written more than it may.
func (f *following) floods() {
	close(f.flooded)
	if f.watching != nil {
		go f.watching.enforce()
	}
}

// stopOverdue stops a container that went over a limit, or kills it. It reports whether the engine confirmed that. If the
// engine cannot stop the container, the request must be repeated as long as the container runs.
func (f *following) stopOverdue(kill bool) bool {
	f.exceeds(tooLong(f.run.TimeLimit(f.TimeLimit())))
	err := f.retry(func() error {
		if kill {
			return f.Carrier.Docker.KillContainer(f.Ctx, f.id, "")
		}
		return f.Carrier.Docker.StopContainer(f.Ctx, f.id, dockerapi.StopOptions{Time: f.grace()})
	})
	if err != nil && !final(err) {
		f.Log.Warn("container not stopped; trying again", "container", f.Name, "error", err)
	}
	return err == nil
}

// grace returns the seconds between signal and kill at a limit. The policy's limit is not put off by a message's StopTimeout.
func (f *following) grace() *int {
	g := f.run.Grace()
	if g != nil && *g > graceOfPolicy && f.Rules.Timeout(0) > 0 {
		return new(graceOfPolicy)
	}
	return g
}

const graceOfPolicy = 10

// TimeLimit returns the longest that a run, a wait or a followed log may last, whatever its message says; 0: no limit.
func (t *Work) TimeLimit() time.Duration { return t.Rules.Timeout(t.Carrier.Timeout) }
