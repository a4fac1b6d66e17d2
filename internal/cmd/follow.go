package cmd

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// do implements Command: create, attach, register the wait, start, drain, read the exit. Whatever
// breaks on the way, the container itself says how far it has come, so that every break is met by
// looking at it and going on from there.
func (r *Run) do(t *task) (Result, func() error, error) {
	res := t.result()
	res.Image = r.Image
	id, found, err := r.create(t)
	if err != nil {
		if final(err) {
			return Result{}, nil, err
		}
		res.fail(err)
		return res, nil, nil
	}
	t.container.Store(&id)
	res.ContainerID, res.ContainerName = id, t.name

	f := &following{task: t, run: r, id: id}
	if r.foreground() && (r.Stdout || r.Stderr) {
		f.out = newOutput(f.emit, t.pool.Capture, &t.pool.lineBudget)
	}
	if found != nil && !found.State.StartedAt.IsZero() {
		f.adopted, f.missed = true, true
		res.Adopted = true
	}
	state, err := f.follow()
	if err != nil && final(err) {
		return Result{}, nil, err
	}
	f.captured(&res)
	switch {
	case err != nil:
		res.fail(err)
		res.Status = Errored // a container that is gone took its exit code with it
		if f.missed {
			res.Error += "; the engine was lost while it started the container, so that the job may have run"
		}
		if f.startedAt.IsZero() {
			// It would be in the way of the same message sent again.
			return res, func() error { return t.discard(id, true) }, nil
		}
		return res, nil, nil
	case !r.foreground():
		res.Status, res.StartedAt = Succeeded, new(f.startedAt.UTC())
		if r.Remove {
			t.afterwards = f.removeAtEnd
		}
		return res, nil, nil
	}
	res.exit(state, t.endAsked.Load(), f.overdue)
	if f.gap && state.ExitCode == exitUnknown {
		res.unknown()
	}
	if r.Remove {
		return res, func() error { return t.discard(id, false) }, nil
	}
	return res, nil, nil
}

// final tells whether err ends a command without a result.
func final(err error) bool {
	return errors.Is(err, errNotBegun) || errors.Is(err, context.Canceled)
}

// A following is one run's container on its way from creation to exit.
type following struct {
	*task
	run     *Run
	id      string
	out     *output // nil where no output is wanted
	adopted bool    // started by an earlier process

	startedAt time.Time     // zero: not started, as far as is known
	missed    bool          // output may have been missed; the log has it
	gap       bool          // the engine was away just now
	lost      bool          // output is known to be missing
	overdue   time.Duration // the time limit that it ran into; 0: none
	exit      *int          // as a wait told it
}

// follow takes the container to where the run is done, and returns its last state. Its error is
// one from before the start, ErrNoSuchContainer, or final.
func (f *following) follow() (dockerapi.State, error) {
	if !f.adopted {
		if err := f.survive(f.listen(true)); err != nil {
			return dockerapi.State{}, err
		}
	}
	for n := 0; ; n++ {
		if !f.startedAt.IsZero() && !f.run.foreground() {
			return dockerapi.State{}, nil
		}
		c, err := f.inspect(f.id)
		switch {
		case errors.Is(err, dockerapi.ErrNoSuchContainer) && f.exit != nil:
			// Somebody removed it as it ended.
			return dockerapi.State{ExitCode: *f.exit, StartedAt: f.startedAt}, nil
		case errors.Is(err, dockerapi.ErrNoSuchContainer):
			return dockerapi.State{}, err
		case err != nil:
		case c.State.StartedAt.IsZero():
			err = f.listen(true)
		default:
			f.started(c.State.StartedAt)
			if c.State.Ended() || f.exit != nil && !c.State.Running { // it may be under removal already
				f.catchUp()
				// What a container writes while its engine is down is in no log, unless the
				// engine finds it running again.
				f.lost = f.lost || f.gap && f.out != nil
				return c.State, nil
			}
			if f.run.foreground() {
				err = f.listen(false)
			}
		}
		if err := f.survive(err); err != nil {
			return dockerapi.State{}, err
		}
		if n > 0 { // a container that neither runs nor has ended must not keep us spinning
			if err := pause(f.ctx, backoff(n, 50*time.Millisecond, 5*time.Second)); err != nil {
				return dockerapi.State{}, err
			}
		}
	}
}

// survive decides whether an error ends the following. A container that runs is never given up
// for an error of the engine: it is looked at again.
func (f *following) survive(err error) error {
	switch {
	case err == nil:
		return nil
	case final(err):
		return err
	case errors.Is(err, dockerapi.ErrUnreachable):
		f.missed, f.begun = true, true
		before := f.pool.engine.away.Load()
		f.pool.engine.lost(err)
		if err := f.pool.engine.wait(f.ctx); err != nil {
			return err
		}
		f.gap = f.pool.engine.away.Load() != before
		return nil
	case f.startedAt.IsZero():
		return err
	}
	f.missed = true
	f.log.Warn("engine error while the container runs; looking again", "container", f.name, "error", err)
	return nil
}

// listen follows the container to its exit. With begin it starts it, when output and exit are
// being listened for, so that none is missed; and a detached one is only started.
func (f *following) listen(begin bool) error {
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()

	if !f.run.foreground() {
		if err := f.retry(func() error { return f.pool.Docker.StartContainer(ctx, f.id) }); err != nil {
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
		if err := f.retry(func() error { return f.pool.Docker.StartContainer(ctx, f.id) }); err != nil {
			return err
		}
		f.started(time.Now())
	}
	drained, exited := make(chan error, 1), make(chan exit, 1)
	go func() { drained <- join() }()
	go func() {
		status, err := joinExit()
		exited <- exit{status.Code, err}
	}()

	end := f.awaitExit(exited, drained)
	if end.err != nil {
		cancel()
		<-drained
		return end.err
	}
	f.exit, f.gap = &end.code, false
	if err := f.drain(drained, cancel); err != nil {
		f.missed = true
		f.log.Debug("output broke off; reading the log", "container", f.name, "error", err)
	} else {
		f.missed = false
	}
	return nil
}

// exit is how a wait ended.
type exit struct {
	code int
	err  error
}

// errBrokenOff says that a container's output ended although the container has not.
var errBrokenOff = errors.New("the output ended before the container")

// awaitExit returns the container's exit. When its time is up it is stopped. Output that ends long
// before the container is an error: its connection may have been cut, which looks just so.
func (f *following) awaitExit(exited <-chan exit, drained chan error) exit {
	var timeUp, broken <-chan time.Time
	if f.pool.Timeout > 0 {
		timer := time.NewTimer(time.Until(f.startedAt.Add(f.pool.Timeout)))
		defer timer.Stop()
		timeUp = timer.C
	}
	ended := drained
	if f.out == nil {
		ended = nil
	}
	for {
		select {
		case end := <-exited:
			return end
		case err := <-ended:
			drained <- err // for drain
			ended = nil
			timer := time.NewTimer(f.pool.idle)
			defer timer.Stop()
			broken = timer.C
		case <-broken:
			return exit{err: errBrokenOff}
		case <-timeUp:
			f.stopOverdue()
		}
	}
}

// stopOverdue stops a container whose time is up.
func (f *following) stopOverdue() {
	f.overdue = f.pool.Timeout
	f.log.Warn("container runs longer than it may; stopping it", "container", f.name, "timeout", f.pool.Timeout)
	err := f.retry(func() error {
		return f.pool.Docker.StopContainer(f.ctx, f.id, dockerapi.StopOptions{})
	})
	if err != nil && !final(err) {
		f.log.Warn("container not stopped", "container", f.name, "error", err)
	}
}

// errSilent says that a container's output did not end although the container has.
var errSilent = errors.New("the output did not end with the container")

// drain waits for the end of the output of a container that has exited. It gives up where nothing
// has come for a while, but never while it is we who are slow.
func (f *following) drain(drained <-chan error, cancel func()) error {
	timer := time.NewTimer(f.pool.idle)
	defer timer.Stop()
	for {
		before := f.out.movement()
		select {
		case err := <-drained:
			return err
		case <-timer.C:
			if now := f.out.movement(); now == before && now%2 == 0 {
				cancel()
				<-drained
				return errSilent
			}
			timer.Reset(f.pool.idle)
		}
	}
}

// open connects to the container's streams: before the start by attaching, which misses nothing;
// later by reading its log from the beginning, less what has been seen.
func (f *following) open(ctx context.Context, begin bool) (join func() error, err error) {
	if !begin && f.out != nil {
		f.out.replay()
		err = f.retry(func() (err error) {
			join, err = f.pool.Docker.ContainerLogs(ctx, f.id, dockerapi.LogsOptions{
				Follow: true, Stdout: f.stdout(), Stderr: f.stderr(),
			})
			return err
		})
		if !errors.Is(err, dockerapi.ErrLogsUnreadable) {
			return join, err
		}
		f.unreadable()
	}
	o := dockerapi.AttachOptions{Stdout: f.stdout(), Stderr: f.stderr()}
	if f.run.Stdin && begin {
		o.Stdin = strings.NewReader("")
	}
	if o == (dockerapi.AttachOptions{}) {
		return func() error { return nil }, nil
	}
	err = f.retry(func() (err error) {
		join, err = f.pool.Docker.AttachContainer(ctx, f.id, o)
		return err
	})
	return join, err
}

// catchUp reads from the log of a container that has ended what was missed.
func (f *following) catchUp() {
	if f.out == nil || !f.missed {
		return
	}
	err := f.try(func() error {
		f.out.replay()
		join, err := f.pool.Docker.ContainerLogs(f.ctx, f.id, dockerapi.LogsOptions{Stdout: f.stdout(), Stderr: f.stderr()})
		if err != nil {
			return err
		}
		return join()
	})
	switch {
	case err == nil, final(err):
	case errors.Is(err, dockerapi.ErrLogsUnreadable):
		f.unreadable()
	default:
		f.lost = true
		f.log.Warn("output is missing: the container's log cannot be read", "container", f.name, "error", err)
	}
}

// unreadable records that the log driver keeps nothing that could be read again.
func (f *following) unreadable() {
	f.out.noReplay()
	if !f.lost {
		f.lost = true
		f.log.Warn("output is missing: the container's log driver cannot be read", "container", f.name)
	}
}

func (f *following) stdout() io.Writer {
	if f.out == nil || !f.run.Stdout {
		return nil
	}
	return &f.out.stdout
}

func (f *following) stderr() io.Writer {
	if f.out == nil || !f.run.Stderr {
		return nil
	}
	return &f.out.stderr
}

// started records that the container has started, and says so once.
func (f *following) started(at time.Time) {
	if !f.startedAt.IsZero() {
		return
	}
	f.startedAt = at
	f.pool.Reporter.Started(Started{
		Job: f.task.id, Command: f.run.Verb(), Host: f.pool.Host,
		ContainerID: f.id, ContainerName: f.name, Image: f.run.Image, Adopted: f.adopted,
	})
	said := "container started"
	if f.adopted {
		said = "container of an earlier process adopted"
	}
	f.log.Info(said, "container", f.name, "id", f.id[:min(12, len(f.id))], "image", f.run.Image)
	f.tookEffect()
}

func (f *following) emit(stream string, offset int64, data []byte) {
	f.pool.Reporter.Output(Output{Job: f.task.id, ContainerName: f.name, Stream: stream, Offset: offset, Data: data})
}

// captured ends the output, and fills in what the result holds of it.
func (f *following) captured(r *Result) {
	if f.out == nil {
		return
	}
	short := f.out.finish()
	r.Stdout, r.StdoutBytes = text(f.out.stdout.tail.bytes()), f.out.stdout.seen
	r.Stderr, r.StderrBytes = text(f.out.stderr.tail.bytes()), f.out.stderr.seen
	r.Incomplete = f.lost || short
}

// text returns the end of a stream as a string that does not begin inside a character.
func text(b []byte) string {
	for i := 0; i < len(b) && i < utf8.UTFMax; i++ {
		if utf8.RuneStart(b[i]) {
			return string(b[i:])
		}
	}
	return string(b)
}

// removeAtEnd waits for the end of a detached container, and removes it. What a stop of this
// process leaves behind is marked by its label.
func (f *following) removeAtEnd() {
	ctx, cancel := context.WithCancel(f.ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-f.pool.stopping:
			cancel()
		case <-ctx.Done():
		}
	})
	defer watching.Wait()
	defer cancel()
	f.task.ctx = ctx
	err := f.try(func() error {
		join, err := f.pool.Docker.WaitContainer(ctx, f.id, dockerapi.NotRunning)
		if err != nil {
			return err
		}
		_, err = join()
		return err
	})
	if err == nil {
		f.clean(func() error { return f.discard(f.id, false) })
	}
}

// discard removes the job's container with its anonymous volumes.
func (t *task) discard(id string, force bool) error {
	err := t.pool.Docker.RemoveContainer(t.ctx, id, dockerapi.RemoveOptions{Volumes: true, Force: force})
	if errors.Is(err, dockerapi.ErrNoSuchContainer) || errors.Is(err, dockerapi.ErrRemovalInProgress) {
		return nil
	}
	return err
}
