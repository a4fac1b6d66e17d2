package cmd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// exit is how a container exited, or why that is not known.
type exit struct {
	code *int // nil: the engine does not know
	err  error
}

// awaitsEvent has the next exit sent to exited by the engine's event, and reports whether it will be. Only the end of the
// output shows that an event was lost. With a restart policy the first exit is not the last.
func (f *following) awaitsEvent(exited chan<- exit) bool {
	return f.out != nil && !f.run.Restarts() && f.queue == f.pool.Queue && f.pool.exits.await(f.id, exited)
}

// awaitsAnswer has the exit sent to exited by a wait of its own.
func (f *following) awaitsAnswer(ctx context.Context, begin bool, exited chan<- exit) error {
	condition := dockerapi.NotRunning
	if begin {
		condition = dockerapi.NextExit // not-running would be true before the start
	}
	return f.retry(func() error {
		join, err := f.pool.Docker.WaitContainer(ctx, f.id, condition)
		if err != nil {
			return err
		}
		go func() {
			status, err := join()
			exited <- exit{status.Code, err}
		}()
		return nil
	})
}

// errBrokenOff says that a container's output ended although the container has not.
var errBrokenOff = errors.New("the output ended before the container")

// errUntold says that a container has ended although the engine has not told its exit.
var errUntold = errors.New("the container has ended, and the engine did not tell its exit")

// lookEvery is how often a container is inspected while its exit is awaited, in case the engine never tells it.
const lookEvery = 5 * time.Minute

// awaitExit returns the container's exit, and stops a container whose time is up. Output that ends long before the
// container is an error, errBrokenOff: a cut connection looks the same. A container that ends long before its exit is
// told is the error errUntold.
func (f *following) awaitExit(exited <-chan exit, drained chan error) exit {
	var timeUp, broken <-chan time.Time
	var timeLimit *time.Timer
	if limit := f.run.TimeLimit(f.timeLimit()); limit > 0 {
		timeLimit = time.NewTimer(time.Until(f.startedAt.Add(limit)))
		defer timeLimit.Stop()
		timeUp = timeLimit.C
	}
	flooded := f.flooded
	stops := 0 // how often a stop was requested because of a limit
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	var why error // the error to return once broken fires
	ended := drained
	if f.out == nil {
		ended = nil
	}
	for {
		select {
		case end := <-exited:
			return end
		case <-f.ctx.Done():
			return exit{err: context.Cause(f.ctx)}
		case err := <-ended:
			if p, ok := errors.AsType[*panicError](err); ok {
				panic(p)
			}
			drained <- err                                   // for drain
			if errors.Is(err, dockerapi.ErrLogsUnreadable) { // Podman reports it this late
				f.unreadable()
				return exit{err: err}
			}
			ended = nil
			broken, why = time.After(f.pool.idle), errBrokenOff
		case <-look.C:
			if why == nil && f.isOver() {
				broken, why = time.After(f.pool.idle), errUntold
				timeUp = nil
			}
			look.Reset(lookEvery)
		case <-broken:
			return exit{err: why}
		case <-flooded: // it is killed: it could write on while it is asked to stop
			flooded = nil
			f.exceeds(tooMuch(f.rules.Output()))
			if timeLimit == nil {
				timeLimit = time.NewTimer(0)
				defer timeLimit.Stop()
			}
			timeUp = timeLimit.C
			timeLimit.Reset(0)
		case <-timeUp:
			look.Reset(0)
			if f.isOver() { // by itself, if no stop was requested yet
				timeUp = nil
				continue
			}
			again := time.Minute // the engine reports success, but the container may run on
			if !f.stopOverdue(stops > maxRetries || flooded != f.flooded) {
				again = delay.Backoff(stops, time.Second, time.Minute)
			}
			stops++
			timeLimit.Reset(again)
		}
	}
}

// isOver reports whether the container has ended or was removed.
func (f *following) isOver() bool {
	c, err := f.pool.Docker.InspectContainer(f.ctx, f.id)
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
		f.log.Warn("container exceeded a limit; stopping it", "container", f.name, "limit", e.limit)
	}
}

// stopOverdue stops a container that went over a limit, or kills it. It reports whether the engine confirmed that. If the
// engine cannot stop the container, the request must be repeated as long as the container runs.
func (f *following) stopOverdue(kill bool) bool {
	f.exceeds(tooLong(f.run.TimeLimit(f.timeLimit())))
	err := f.retry(func() error {
		if kill {
			return f.pool.Docker.KillContainer(f.ctx, f.id, "")
		}
		return f.pool.Docker.StopContainer(f.ctx, f.id, dockerapi.StopOptions{Time: f.grace()})
	})
	if err != nil && !final(err) {
		f.log.Warn("container not stopped; trying again", "container", f.name, "error", err)
	}
	return err == nil
}

// grace returns the seconds between signal and kill at a limit. The policy's limit is not put off by a message's StopTimeout.
func (f *following) grace() *int {
	g := f.run.Grace()
	if g != nil && *g > graceOfPolicy && f.rules.Timeout(0) > 0 {
		return new(graceOfPolicy)
	}
	return g
}

const graceOfPolicy = 10

// errSilent says that a container's output did not end although the container has.
var errSilent = errors.New("the output did not end with the container")

// mostAfterExit is how long output may go on after the exit. A process that has outlived the container can hold the
// output open, and write without end. The log has the output that a slow reader misses.
const mostAfterExit = time.Minute

// drain waits for the end of an exited container's output. It gives up if nothing comes for a while, except while we
// are still passing on a piece ourselves. It also gives up if output goes on longer than mostAfterExit.
func (f *following) drain(drained <-chan error, cancel func()) error {
	exited := time.Now()
	timer := time.NewTimer(f.pool.idle)
	defer timer.Stop()
	for {
		before := f.out.Movement()
		select {
		case err := <-drained:
			if p, ok := errors.AsType[*panicError](err); ok {
				panic(p)
			}
			return err
		case <-timer.C:
			now := f.out.Movement()
			if silent := now == before && now%2 == 0; silent || now != before && time.Since(exited) > mostAfterExit {
				cancel()
				<-drained
				return errSilent
			}
			timer.Reset(f.pool.idle)
		}
	}
}
