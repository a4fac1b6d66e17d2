package container

import (
	"errors"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// errMayHaveRun ends a run whose container is not started again, because it may have run.
var errMayHaveRun = errors.New("the engine restarted while it was starting the container, or no longer remembers creating it; the program may have run, so it is not started again")

// mayStart returns an error if a container that the engine reports as never started must not be started. An engine that
// was killed during an earlier start does not know that the program ran. A second start would run the program again.
// Too many unanswered calls before the start are an error too.
func (f *following) mayStart(c dockerapi.Container) error {
	if f.cuts > maxRetries {
		return &brokenError{err: f.cut, lost: true}
	}
	if !f.startSent {
		return nil
	}
	same, err := f.sameEngine(c)
	if err == nil && !same {
		err = errMayHaveRun
	}
	return err
}

// killed reports whether the engine was asked, by no message here, to send the signal that the exit code names. Its
// error is final.
func (f *following) killed(s dockerapi.State, asked bool) (killed bool, err error) {
	if asked || f.over != nil || s.OOMKilled || s.ExitCode == nil || *s.ExitCode <= 128 || s.FinishedAt.IsZero() {
		return false, nil
	}
	return askIfTold(f.Work, "what it was asked", func() (bool, error) {
		return f.Carrier.Docker.RemembersKill(f.Ctx, dockerapi.Container{ID: f.id, State: s}, *s.ExitCode-128)
	})
}

// unseen reports whether the exit code is made up by an engine that was down when the container ended. Such an engine
// records the time of its return as the time of the end. A 0 from before the engine was lost or after it answered again
// is true, unless the engine started then. The error of unseen is final.
func (f *following) unseen(s dockerapi.State) (bool, error) {
	switch {
	case s.ExitCode == nil:
		return false, nil
	case f.gap && *s.ExitCode == exitUnknown:
		return true, nil
	case *s.ExitCode != 0:
		return false, nil
	case f.gap && !s.FinishedAt.Before(f.gapAt) && !s.FinishedAt.After(f.Carrier.Engine.Back()):
		return true, nil
	case !f.gap && (!f.adopted || f.exit != nil):
		return false, nil
	}
	return f.endedAtRestart(s) // the engine may have been away before we noticed, or before we began
}

// restartTakes is how long a starting engine may take from the check of its containers to the bridge.
const restartTakes = 30 * time.Second

// endedAtRestart reports whether the container's recorded end coincides with the engine's start: then the engine did
// not see the end. It is false if the engine does not tell when it started. Its error is final.
func (t *Work) endedAtRestart(s dockerapi.State) (bool, error) {
	started, err := askIfTold(t, "when it was started", func() (time.Time, error) { return t.Carrier.Docker.EngineStarted(t.Ctx) })
	return s.StartedAt.Before(started) && !s.FinishedAt.Before(started.Add(-restartTakes)) && !s.FinishedAt.After(started), err
}

// sameEngine reports whether the engine's process has certainly created the container, and therefore missed nothing of
// it. Its error is final.
func (f *following) sameEngine(c dockerapi.Container) (same bool, err error) {
	return askIfTold(f.Work, "what it remembers", func() (bool, error) { return f.Carrier.Docker.RemembersCreation(f.Ctx, c) })
}

// exitUnknown is the exit code, unless 0, that an engine reports if it was down when the container ended.
const exitUnknown = 255

const exitUnseen = "the engine was down when the container ended, and does not know its exit code"

// overran returns that an earlier process seems to have stopped a container for its time limit, or nil.
func overran(r *message.Run, s dockerapi.State, pool time.Duration) *excess {
	limit := r.TimeLimit(pool)
	if limit == 0 || s.OOMKilled || s.ExitCode == nil || !outsideSignal(*s.ExitCode-128) || s.FinishedAt.Sub(s.StartedAt) < limit {
		return nil
	}
	return tooLong(limit)
}
