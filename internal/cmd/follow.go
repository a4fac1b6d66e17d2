package cmd

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// final tells whether err ends a command without a result.
func final(err error) bool {
	return errors.Is(err, errNotBegun) || errors.Is(err, errCancelled) || errors.Is(err, context.Canceled)
}

// A following is one run's container on its way from creation to exit.
type following struct {
	*task
	run     *message.Run
	id      string
	out     *output.Output // nil where no output is wanted
	adopted bool           // started by an earlier process

	startedAt time.Time     // zero: not started, as far as is known
	startSent bool          // it may have been told to start before, by us or another process
	missed    bool          // output may have been missed; the log has it
	gap       bool          // the engine may have been away just now
	gapAt     time.Time     // since when, or when it was away last
	logless   bool          // the log driver keeps nothing that could be read
	lost      bool          // output is known to be missing
	overdue   time.Duration // the time limit that it ran into; 0: none
	exit      *int          // as a wait told it
	cuts      int           // how often the engine was lost before the start
	cut       error         // the last time
	broken    int           // how often in a row a call was not answered; see unanswered
	lasted    time.Duration // how long the wait that broke off last had gone well
	logKeeps  int64         // see LogKeeps
	logText   bool          // the log holds text only
	logRead   int64         // how much the log that was read last weighs
}

// follow takes the container to where the run is done, and returns its last state. Its error is
// one from before the start, ErrNoSuchContainer, or final.
func (f *following) follow() (dockerapi.State, error) {
	if !f.adopted && !f.startSent && len(f.run.Networks) < 2 { // else see connect
		if err := f.survive(f.listen(true)); err != nil {
			return dockerapi.State{}, err
		}
	}
	for n := 0; ; n++ {
		if !f.startedAt.IsZero() && !f.run.Foreground() {
			return dockerapi.State{}, nil
		}
		c, err := f.inspect(f.id)
		f.logKeeps, f.logText = logKeeps(c.LogDriver, c.LogOpts), c.LogDriver == "json-file"
		switch {
		case errors.Is(err, dockerapi.ErrNoSuchContainer) && f.exit != nil:
			// Somebody removed it as it ended.
			return dockerapi.State{ExitCode: f.exit, StartedAt: f.startedAt}, nil
		case errors.Is(err, dockerapi.ErrNoSuchContainer):
			return dockerapi.State{}, err
		case err != nil:
		case c.State.StartedAt.IsZero():
			if err = f.mayStart(c); err == nil {
				err = f.connect(f.run, c)
			}
			if err == nil {
				err = f.listen(true)
			}
		default:
			if f.adopted && n == 0 && f.pool.engine.missed(c.State.StartedAt) {
				f.gap, f.gapAt = true, time.Unix(0, f.pool.engine.away.Load())
			}
			f.started(c.State.StartedAt)
			if c.State.Ended() {
				f.missed = f.missed || f.run.Restarts() // nobody listened between two starts
				if err := f.catchUp(); err != nil {
					return dockerapi.State{}, err
				}
				// What a wait has told is the container's own.
				if f.gap || f.adopted && f.exit == nil && c.State.ExitCode != nil && *c.State.ExitCode == exitUnknown {
					same, err := f.sameEngine(c)
					if err != nil {
						return dockerapi.State{}, err
					}
					f.gap = !same
				}
				// What a container writes while its engine is down is in no log, unless the
				// engine finds it running again.
				f.lost = f.lost || f.gap && f.out != nil
				if f.adopted && f.overdue == 0 {
					f.overdue = overran(f.run, c.State, f.pool.Timeout)
				}
				return c.State, nil
			}
			if f.run.Foreground() {
				err = f.listen(false)
			}
		}
		if err := f.survive(err); err != nil {
			return dockerapi.State{}, err
		}
		if err == nil && n > 0 { // a container that neither runs nor has ended must not keep us spinning
			if err := pause(f.ctx, backoff(n, 50*time.Millisecond, 5*time.Second)); err != nil {
				return dockerapi.State{}, err
			}
		}
	}
}

// slowStart is how long after its creation a container is started without another look at it.
const slowStart = time.Second

// errStarted says that an earlier request has started the container after all.
var errStarted = errors.New("the container was started by an earlier request")

// start has the engine start the container. Its failure does not mean that it has not, and a second
// start of a container that has ended would run it again: so each is behind a look.
func (f *following) start(ctx context.Context) error {
	look := func() error {
		c, err := f.pool.Docker.InspectContainer(ctx, f.id)
		if err == nil && !c.State.StartedAt.IsZero() {
			f.missed = true
			err = errStarted
		}
		return err
	}
	err := f.retry(func() error {
		// Where we have been slow, or have lost the message, another process may have found the container.
		if f.startSent || time.Since(f.creation.asked) > slowStart || f.pool.jobs.lost(f.task) {
			if err := look(); err != nil {
				return err
			}
		}
		err := f.pool.Docker.StartContainer(ctx, f.id)
		f.startSent = f.startSent || err != nil && !neverSent(err)
		return err
	})
	if errors.Is(err, dockerapi.ErrTemporary) {
		if lookErr := look(); errors.Is(lookErr, errStarted) {
			return lookErr
		}
	}
	return err
}

// survive decides whether an error ends the following. A container that runs is looked at again, and given up only
// after too many calls in a row that were not answered.
func (f *following) survive(err error) error {
	switch {
	case err == nil,
		errors.Is(err, errStarted),
		errors.Is(err, dockerapi.ErrLogsUnreadable): // then it is attached to
		return nil
	case final(err):
		return err
	case errors.Is(err, dockerapi.ErrUnreachable):
		f.missed = true
		f.begins()
		if !f.gap {
			f.gap, f.gapAt = true, time.Now()
		}
		answers := f.pool.engine.answers(f.ctx)
		if f.ctx.Err() != nil {
			return context.Cause(f.ctx)
		}
		if f.startedAt.IsZero() && (answers || !neverSent(err)) {
			f.cuts++ // see mayStart
			f.cut = err
		}
		if answers {
			return f.lookAgain(err)
		}
		f.pool.engine.lost(err)
		if !neverSent(err) { // else it killed nothing
			if err := f.unanswered(err, true); err != nil {
				return err
			}
		}
		return f.pool.engine.wait(f.ctx)
	case errors.As(err, new(*brokenError)), f.startedAt.IsZero():
		return err
	}
	f.missed = true
	if errors.Is(err, errBrokenOff) || errors.Is(err, errUntold) { // the container may have closed its output itself
		f.broken = 0
		f.log.Warn("looking at the container again", "container", f.name, "error", err)
		return nil
	}
	return f.lookAgain(err)
}

// steady and steadyLost are how long a wait goes well that is broken off, or whose engine is lost, for another reason than
// our own calls: an engine that breaks off each call does so at once, and one that dies of a log that it reads does soon.
const (
	steady     = 2 * time.Second
	steadyLost = 20 * time.Second
)

// unanswered counts a call that was not answered, and gives up after too many in a row: otherwise a call that kills the
// engine would be made for ever. A wait that went well begins the count anew.
func (f *following) unanswered(err error, lost bool) error {
	if f.lasted > steadyLost || f.lasted > steady && !lost {
		f.broken = 0
	}
	f.lasted = 0
	if f.broken >= maxRetries && !f.startedAt.IsZero() {
		return &brokenError{err: err, lost: lost}
	}
	f.broken++
	return nil
}

// lookAgain waits before the next look at a container of which the engine, being there, has not answered.
func (f *following) lookAgain(err error) error {
	if err := f.unanswered(err, false); err != nil {
		return err
	}
	f.log.Warn("the engine did not answer as it should; looking again", "container", f.name, "error", err)
	return pause(f.ctx, backoff(f.broken-1, f.pool.retryFirst, time.Minute))
}

// listen follows the container to its exit. With begin it starts it, when output and exit are
// being listened for, so that none is missed; and a detached one is only started.
func (f *following) listen(begin bool) error {
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()

	if !f.run.Foreground() {
		if err := f.start(ctx); err != nil {
			return err
		}
		f.started(time.Now())
		return nil
	}

	join, err := f.open(ctx, begin)
	if err != nil {
		return err
	}
	condition := dockerapi.NotRunning
	if begin {
		condition = dockerapi.NextExit // not-running would be true before the start
	}
	var joinExit func() (dockerapi.ExitStatus, error)
	err = f.retry(func() (err error) {
		joinExit, err = f.pool.Docker.WaitContainer(ctx, f.id, condition)
		return err
	})
	if err != nil {
		return err
	}
	if begin {
		if err := f.start(ctx); err != nil {
			return err
		}
		f.started(time.Now())
	}
	drained, exited := make(chan error, 1), make(chan exit, 1)
	go func() { drained <- recovered(join) }()
	go func() {
		status, err := joinExit()
		exited <- exit{status.Code, err}
	}()

	began := time.Now()
	end := f.awaitExit(exited, drained)
	if end.err != nil {
		f.lasted = time.Since(began)
		cancel()
		<-drained
		return end.err
	}
	f.pool.jobs.to(f.task, phaseExited)
	if end.code != nil {
		f.exit, f.gap = end.code, false
	}
	if err := f.drain(drained, cancel); err != nil {
		f.missed = true
		f.log.Debug("output broke off; reading the log", "container", f.name, "error", err)
	} else {
		// A log that is followed may end, with some engines, before what the container wrote last without a newline.
		f.missed = !begin
	}
	return nil
}

// recovered calls f, and makes an error of its panic.
func recovered(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return f()
}

// A panicError is the panic of another goroutine of a task, which the task's own is to have.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// started records that the container has started, and says so once.
func (f *following) started(at time.Time) {
	if !f.startedAt.IsZero() {
		return
	}
	f.startedAt, f.broken = at, 0
	f.pool.jobs.to(f.task, phaseStarted)
	s := event.Started{
		Job: f.task.id, Command: f.traits.Verb, Host: f.pool.Host,
		ContainerID: f.id, ContainerName: f.name, Image: f.run.Image, Attempt: f.shownAttempt(), Warnings: f.creation.warnings, Adopted: f.adopted,
	}
	f.pool.Reporter.Started(s)
	f.live.Started(s)
	said := "container started"
	if f.adopted {
		said = "container of an earlier process adopted"
	}
	f.log.Info(said, "container", f.name, "id", f.id[:min(12, len(f.id))], "image", f.run.Image)
	f.tookEffect()
}
