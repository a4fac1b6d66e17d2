package container

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/closed"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/exits"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A watch has what goes on beside the reading of a running container's output. The task's goroutine reads, and all else
// is told or a timer, so a run takes one goroutine.
type watch struct {
	*following
	ctx      context.Context         // its end ends the reading
	cancel   context.CancelCauseFunc // ends ctx, with the reason
	exited   chan exits.Exit         // has room for the one exit that is told
	looks    *time.Timer             // see look
	timeUp   *time.Timer             // see enforce; nil: there is no time limit
	enforces chan struct{}           // full while enforce is at work, and from close on
	reading  chan struct{}           // closed by begin
	read     atomic.Bool             // the reading has ended
	cut      atomic.Pointer[error]   // why the stream of events ended during the reading; nil: it did not, or there is a wait
	closed   bool                    // only for the task's goroutine
}

func (f *following) newWatch() *watch {
	w := &watch{following: f, exited: make(chan exits.Exit, 1), enforces: make(chan struct{}, 1), reading: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancelCause(f.Ctx)
	f.watching = w
	return w
}

// begin starts the timers. The container has started, and its output is about to be read.
func (w *watch) begin() {
	close(w.reading)
	w.looks = time.AfterFunc(lookEvery, w.look)
	w.looks.Reset(lookEvery) // look uses w.looks
	if limit := w.run.TimeLimit(w.TimeLimit()); limit > 0 {
		w.timeUp = time.AfterFunc(time.Until(w.startedAt.Add(limit)), w.enforce)
	}
	if closed.Is(w.flooded) {
		go w.enforce()
	}
}

// close ends the watch, and waits for a request of enforce that is under way. It may be called again.
func (w *watch) close() {
	if w.closed {
		return
	}
	w.closed = true
	w.cancel(nil)
	for _, t := range []*time.Timer{w.looks, w.timeUp} {
		if t != nil {
			t.Stop()
		}
	}
	w.enforces <- struct{}{}
}

// awaitsEvent has the next exit told by the engine's event, and reports whether it will be. Only the end of the
// output shows that an event was lost. With a restart policy the first exit is not the last.
func (w *watch) awaitsEvent() bool {
	return w.out != nil && !w.run.Restarts() && w.Queue == w.Carrier.Queue && w.Carrier.Exits.Await(w.ctx, w.id, w.event)
}

// awaits has the next exit told. byEvent: the engine's stream of events tells it.
func (w *watch) awaits(begin bool) (byEvent bool, err error) {
	if w.awaitsEvent() && (begin || w.comes()) {
		return true, nil
	}
	return false, w.awaitsAnswer(begin)
}

// comes reports whether the event that is awaited will come, or has come. It does not if the container ended before Await.
func (w *watch) comes() bool { return !w.isOver(w.ctx) || !w.Carrier.Exits.Forget(w.id) }

// event is told the exit by the engine's event, or that the stream of events has ended. That does not end the reading of the output,
// which has a connection of its own.
func (w *watch) event(e exits.Exit) {
	if e.Err != nil && closed.Is(w.reading) && !w.read.Load() {
		w.cut.Store(&e.Err)
		go w.awaitsElse(e.Err)
		return
	}
	w.told(e)
}

// awaitsElse has the exit told by the next stream of events, if that opens soon, else by a wait of its own. If the container has ended
// meanwhile, the engine may have been down: then the error cut is told.
func (w *watch) awaitsElse(cut error) {
	defer w.recovers()
	err := cut
	switch again := w.Carrier.Exits.AwaitAgain(w.ctx, w.id, w.event); {
	case again && w.comes():
		return
	case !again:
		if err = w.awaitsAnswer(false); err == nil {
			w.cut.Store(nil) // the wait tells it, too, if the engine goes away
		}
	}
	if err != nil {
		w.told(exits.Exit{Err: err})
	}
}

// awaitsAnswer has the exit told by a wait of its own.
func (w *watch) awaitsAnswer(begin bool) error {
	condition := dockerapi.NotRunning
	if begin {
		condition = dockerapi.NextExit // not-running would be true before the start
	}
	return w.retry(func() error {
		join, err := w.Carrier.Docker.WaitContainer(w.ctx, w.id, condition)
		if err != nil {
			return err
		}
		go func() {
			status, err := join()
			w.told(exits.Exit{Code: status.Code, Err: err})
		}()
		return nil
	})
}

// told is called once, with the container's exit. It does not wait.
func (w *watch) told(e exits.Exit) {
	w.exited <- e
	if e.Err != nil {
		w.cancel(e.Err)
		return
	}
	w.To(live.Exited)
	go w.limitDrain()
}

// errBrokenOff says that a container's output ended although the container has not.
var errBrokenOff = errors.New("the output ended before the container")

// exit returns the container's exit, after the reading of its output has ended with err. If the exit is not told within
// Carrier.Idle, it is the error errBrokenOff, because a cut connection looks like the end of the output. If no output is wanted (out
// is nil), the end of the reading says nothing, and exit waits without this limit. If the stream of events has ended too, the engine
// may have been down: then the error says why it ended.
func (w *watch) exit(err error) exits.Exit {
	if errors.Is(err, dockerapi.ErrLogsUnreadable) { // Podman reports it this late
		w.unreadable()
		return exits.Exit{Err: err}
	}
	select {
	case end := <-w.exited:
		return end
	default:
	}
	cut := w.cut.Load()
	if cut != nil && w.ctx.Err() == nil && !w.Carrier.Exits.Awaits(w.id) && len(w.exited) == 0 {
		return exits.Exit{Err: *cut}
	}
	var broken <-chan time.Time
	if w.out != nil {
		broken = time.After(w.Carrier.Idle)
	}
	select {
	case end := <-w.exited:
		return end
	case <-w.ctx.Done():
		return exits.Exit{Err: context.Cause(w.ctx)}
	case <-broken:
		if cut != nil {
			return exits.Exit{Err: *cut}
		}
		return exits.Exit{Err: errBrokenOff}
	}
}

// lookEvery is how often a container is inspected while its exit is awaited, in case the engine never tells it.
const lookEvery = 5 * time.Minute

func (w *watch) look() {
	defer w.recovers()
	switch {
	case w.ctx.Err() != nil: // the watch was closed meanwhile
	case w.isOver(w.ctx):
		w.overdue()
	case w.ctx.Err() == nil: // close may have stopped the timer meanwhile
		w.looks.Reset(lookEvery)
	}
}

// errUntold says that a container has ended although the engine has not told its exit.
var errUntold = errors.New("the container has ended, and the engine did not tell its exit")

// overdue ends the reading if the exit of the container, which has ended, is not told soon.
func (w *watch) overdue() {
	if delay.Sleep(w.ctx, w.Carrier.Idle) == nil && len(w.exited) == 0 {
		w.cancel(errUntold)
	}
}

// enforce stops a container that has gone over a limit, until it has ended. If enforce is at work already, that sees to it.
func (w *watch) enforce() {
	select {
	case w.enforces <- struct{}{}:
	default:
		return
	}
	defer func() { <-w.enforces }()
	defer w.recovers()
	flooded := w.flooded
	for stops := 0; !w.isOver(w.following.Ctx); stops++ { // it may have ended by itself before the first stop
		if closed.Is(flooded) { // it is killed: it could write on while it is asked to stop
			flooded = nil
			w.exceeds(tooMuch(w.Rules.Output()))
		}
		again := time.Minute // the engine reports success, but the container may run on
		if !w.stopOverdue(stops > maxRetries || flooded != w.flooded) {
			again = delay.Backoff(stops, time.Second, time.Minute)
		}
		if w.ctx.Err() == nil && w.isOver(w.following.Ctx) {
			break
		}
		select {
		case <-time.After(again):
		case <-flooded:
		case <-w.ctx.Done():
			return
		}
	}
	w.overdue()
}

// recovers is deferred by what runs in a goroutine of its own. A panic there ends the reading.
func (w *watch) recovers() {
	if v := recover(); v != nil {
		p := &panicError{v, debug.Stack()}
		if w.ctx.Err() != nil { // the run has its result without it
			w.Log.Error("panic; please report this", "panic", v, "trace", string(p.stack))
		}
		w.cancel(p)
	}
}

// A panicError is a panic beside the task's goroutine, which then panics with it.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }

// errSilent says that a container's output did not end although the container has.
var errSilent = errors.New("the output did not end with the container")

// mostAfterExit is how long output may go on after the exit. A process that has outlived the container can hold the
// output open, and write without end. The log has the output that a slow reader misses.
const mostAfterExit = time.Minute

// limitDrain ends the reading of an exited container's output if nothing comes for a while, except while we are still
// passing on a piece ourselves. It also ends output that goes on longer than mostAfterExit. The time before begin does not
// count: the exit may be told long before the start is answered and reported.
func (w *watch) limitDrain() {
	select {
	case <-w.reading:
	case <-w.ctx.Done():
		return
	}
	since, before := time.Now(), w.out.Movement()
	for delay.Sleep(w.ctx, w.Carrier.Idle) == nil {
		now := w.out.Movement()
		if silent := now == before && now%2 == 0; silent || now != before && time.Since(since) > mostAfterExit {
			w.cancel(errSilent)
		}
		before = now
	}
}
