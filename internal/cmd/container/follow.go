package container

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/logkept"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// final reports whether err ends a command without a result.
func final(err error) bool {
	return errors.Is(err, live.ErrNotBegun) || errors.Is(err, live.ErrCancelled) || errors.Is(err, live.ErrElsewhere) || errors.Is(err, hosts.ErrNoClaims) || errors.Is(err, context.Canceled)
}

// A following is one run's container on its way from creation to exit.
type following struct {
	*Work
	run     *message.Run
	id      string
	out     *output.Output // nil: no output is wanted
	adopted bool           // started by an earlier process

	startedAt time.Time     // zero: not started, as far as is known
	startSent bool          // a start may have been requested before, by this process or another
	missed    bool          // output may have been missed; the log has it
	gap       bool          // the engine may have been down while the container ran
	gapAt     time.Time     // when the gap began; if adopted, when the engine was last away
	logless   bool          // the log driver keeps no readable log
	lost      bool          // output is known to be missing
	over      *excess       // why the container was stopped; nil: it was not
	flooded   chan struct{} // closed when the container has written more than it may
	watching  *watch        // the last; nil: none yet
	exit      *int          // the exit code that a wait or an event told
	cuts      int           // how many calls before the start were not answered
	cut       error         // the error of the last of them
	broken    int           // how many calls in a row were not answered; see unanswered
	lasted    time.Duration // how long the last wait that broke off had gone well
	logKeeps  int64         // see logkept.Bytes
	logText   bool          // the log holds text only
	logRead   int64         // upper bound of the log bytes read by the last replay; see logkept.Weight
}

// follow starts the container unless it has started, follows it until the run is done, and returns its last state.
// Its error is from before the start, ErrNoSuchContainer, a *brokenError, or final.
func (f *following) follow() (dockerapi.State, error) {
	if !f.adopted && !f.startSent && len(f.run.Networks) < 2 { // otherwise inspect first; see mayStart and connect
		if err := f.survive(f.listen(true)); err != nil {
			return dockerapi.State{}, err
		}
	}
	for n, first := 0, true; ; n, first = n+1, false {
		if !f.startedAt.IsZero() && !f.run.Foreground() {
			return dockerapi.State{}, nil
		}
		began := time.Now()
		over, begin, state, err := f.look(first)
		if over {
			return state, err
		}
		if err == nil && (begin || f.run.Foreground()) {
			err = f.listen(begin)
		}
		if err := f.survive(err); err != nil {
			return dockerapi.State{}, err
		}
		if time.Since(began) > steady {
			n = 0
		}
		if err == nil && n > 0 { // otherwise a container that neither runs nor has ended would cause a busy loop
			if err := delay.Sleep(f.Ctx, delay.Backoff(n, 50*time.Millisecond, 5*time.Second)); err != nil {
				return dockerapi.State{}, err
			}
		}
	}
}

// look inspects the container. If the following is over, look returns what follow returns; else whether the container is
// to be started. It is apart from follow for the stack: there a Container would take a kilobyte while the run goes on.
func (f *following) look(first bool) (over, begin bool, last dockerapi.State, err error) {
	restarts := f.Restarted()
	c, err := f.Inspect(f.id)
	f.logKeeps, f.logText = logkept.Bytes(c.LogDriver, c.LogOpts), c.LogDriver == "json-file"
	if errors.Is(err, dockerapi.ErrNoSuchContainer) {
		f.Carrier.Jobs.Removes(f.id)
	}
	switch {
	case errors.Is(err, dockerapi.ErrNoSuchContainer) && f.exit != nil:
		// It was removed as it ended.
		return true, false, dockerapi.State{ExitCode: f.exit, StartedAt: f.startedAt}, nil
	case errors.Is(err, dockerapi.ErrNoSuchContainer):
		return true, false, last, err
	case err != nil:
		return false, false, last, err
	case c.State.StartedAt.IsZero():
		if err = f.mayStart(c); err == nil {
			err = f.connect(f.run, c)
		}
		return false, true, last, err
	}
	if f.adopted && first && f.Carrier.Engine.Missed(c.State.StartedAt) {
		f.gap, f.gapAt = true, f.Carrier.Engine.Away()
	}
	f.started(c.State.StartedAt)
	if !c.State.Ended() {
		if !c.State.FinishedAt.IsZero() { // it was restarted
			f.exit = nil
			f.To(live.Started)
		}
		return false, false, last, nil
	}
	if by, over := f.RunIsOver(restarts); !over {
		if err := f.awaitRestart(f.Ctx, by); err != nil {
			return false, false, last, err
		}
		return f.look(false)
	}
	f.missed = f.missed || f.run.Restarts() // no attach was open from an exit to the next start; see listen for other restarts
	if err := f.catchUp(); err != nil {
		return true, false, last, err
	}
	// An exit code that a wait or an event told is the container's own; any other may be made up by the engine.
	if f.gap || f.adopted && f.exit == nil && c.State.ExitCode != nil && *c.State.ExitCode == exitUnknown {
		same, err := f.sameEngine(c)
		if err != nil {
			return true, false, last, err
		}
		f.gap = !same
	}
	// Output written while the engine is down is in no log, unless the engine finds the container still running.
	f.lost = f.lost || f.gap && f.out != nil
	if f.adopted && f.over == nil {
		f.over = overran(f.run, c.State, f.TimeLimit())
	}
	return true, false, c.State, nil
}

// slowStart is how long after the create request a container is started without an inspect.
const slowStart = time.Second

// errStarted says that an earlier request has started the container.
var errStarted = errors.New("the container was started by an earlier request")

// start asks the engine to start the container, after an inspect if another start may have come before. A request that
// failed may have started the container. A second start of an ended container would run it again.
func (f *following) start() error {
	look := func() error {
		c, err := f.Carrier.Docker.InspectContainer(f.Ctx, f.id)
		if err == nil && !c.State.StartedAt.IsZero() {
			f.missed = true
			err = errStarted
		}
		return err
	}
	err := f.retry(func() error {
		// If we were slow or lost all deliveries, another process may have adopted and started the container.
		if f.startSent || time.Since(f.creation.asked) > slowStart || f.Task.Lost() {
			if err := look(); err != nil {
				return err
			}
		}
		err := f.Carrier.Docker.StartContainer(f.Ctx, f.id)
		f.startSent = f.startSent || err != nil && !engine.NeverSent(err)
		return err
	})
	if errors.Is(err, dockerapi.ErrTemporary) {
		if lookErr := look(); errors.Is(lookErr, errStarted) {
			return lookErr
		}
	}
	return err
}

// survive returns nil if the container is to be inspected again after err, else the error that ends the following. A
// running container is given up only after too many calls in a row without an answer.
func (f *following) survive(err error) error {
	switch {
	case err == nil,
		errors.Is(err, errStarted),
		errors.Is(err, dockerapi.ErrLogsUnreadable): // the next open attaches instead
		return nil
	case final(err):
		return err
	case errors.Is(err, dockerapi.ErrUnreachable):
		f.missed = true
		f.begins()
		if !f.gap {
			f.gap, f.gapAt = true, time.Now()
		}
		answers := f.Carrier.Engine.Answers(f.Ctx)
		if f.Ctx.Err() != nil {
			return context.Cause(f.Ctx)
		}
		if f.startedAt.IsZero() && (answers || !engine.NeverSent(err)) {
			f.cuts++ // see mayStart
			f.cut = err
		}
		if answers {
			return f.lookAgain(err)
		}
		f.Carrier.Engine.Lost(err)
		if !engine.NeverSent(err) { // a request that was never sent did not kill the engine
			if err := f.unanswered(err, true); err != nil {
				return err
			}
		}
		return f.Carrier.Engine.Wait(f.Ctx)
	case errors.As(err, new(*brokenError)), f.startedAt.IsZero():
		return err
	}
	f.missed = true
	if errors.Is(err, errBrokenOff) || errors.Is(err, errUntold) { // the container may have closed its output itself
		f.broken = 0
		f.Log.Warn("looking at the container again", "container", f.Name, "error", err)
		return nil
	}
	return f.lookAgain(err)
}

// If a wait lasted steady before it broke off, our own calls are not the cause. If the engine was lost, steadyLost
// applies. An engine that breaks off each call does so at once. An engine that dies of reading a log dies soon.
const (
	steady     = 2 * time.Second
	steadyLost = 20 * time.Second
)

// unanswered counts a call that was not answered, and gives up after too many in a row. Otherwise a call that kills the
// engine would be repeated for ever. A wait that lasted resets the count. Before the start mayStart gives up.
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

// lookAgain waits before the next inspect, after a call failed although the engine is there.
func (f *following) lookAgain(err error) error {
	if err := f.unanswered(err, false); err != nil {
		return err
	}
	f.Log.Warn("the engine did not answer as it should; looking again", "container", f.Name, "error", err)
	return delay.Sleep(f.Ctx, delay.Backoff(f.broken-1, f.Carrier.RetryFirst, time.Minute))
}

// listen follows the container to its exit. With begin it first opens the output and registers for the exit, then starts
// the container: otherwise either could be missed. A detached container is only started.
func (f *following) listen(begin bool) error {
	if !f.run.Foreground() {
		if err := f.start(); err != nil {
			return err
		}
		f.started(time.Now())
		return nil
	}

	w := f.newWatch()
	defer w.close()
	join, err := f.open(w.ctx, begin)
	if err != nil {
		return err
	}
	defer f.Carrier.Exits.Forget(f.id)
	byEvent, err := w.awaits(begin)
	if err != nil {
		return err
	}
	if begin {
		if err := f.start(); err != nil {
			return err
		}
		f.started(time.Now())
	}
	w.begin()

	began := time.Now()
	err = join() // a silent container waits here: one goroutine, with a small stack, is all that a run takes
	if err != nil && w.ctx.Err() != nil {
		err = context.Cause(w.ctx)
	}
	w.read.Store(true)
	end := w.exit(err)
	w.close()
	if p, ok := errors.AsType[*panicError](context.Cause(w.ctx)); ok {
		panic(p)
	}
	if end.Err != nil {
		f.lasted = time.Since(began)
		if byEvent && errors.Is(end.Err, errBrokenOff) && f.isOver(f.Ctx) {
			f.Carrier.Exits.Missed()
		}
		return end.Err
	}
	if end.Code != nil {
		f.exit, f.gap = end.Code, false
	}
	if err != nil {
		f.missed = true
		f.Log.Debug("output broke off; reading the log", "container", f.Name, "error", err)
	} else {
		// Some engines end a followed log before the container's last line, if that has no newline.
		f.missed = !begin
	}
	return nil
}

// started records that the container has started, and reports it once.
func (f *following) started(at time.Time) {
	if !f.startedAt.IsZero() {
		return
	}
	f.startedAt, f.broken = at, 0
	f.Starts(at)
	switch {
	case f.adopted:
		f.Carrier.Tally.Adopt()
	case f.Fresh() && !f.WasRedelivered():
		f.Carrier.Tally.Start(time.Since(f.Published))
	}
	s := event.Started{
		Job: f.Task.ID, Command: f.Traits.Verb, Host: f.Carrier.Host,
		ContainerID: f.id, ContainerName: f.Name, Image: f.run.Image, Attempt: f.ShownAttempt(), Warnings: f.creation.warnings, Adopted: f.adopted,
	}
	f.Carrier.Reporter.Started(s)
	f.Live.Started(s)
	said, level := "container started", slog.LevelDebug
	if f.adopted {
		said, level = "container of an earlier process adopted", slog.LevelInfo
	}
	f.Log.Log(f.Ctx, level, said, "container", f.Name, "id", f.id[:min(12, len(f.id))], "image", f.run.Image)
	f.TakesEffect()
}
