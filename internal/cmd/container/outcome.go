package container

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// SetRefused fills in why a message is not carried out.
func SetRefused(r *event.Result, err error) {
	r.Status, r.Reason, r.Error = event.Refused, event.ReasonInvalid, err.Error()
	if _, ok := errors.AsType[*policy.DeniedError](err); ok {
		r.Reason = event.ReasonPolicy
	}
	if errors.Is(err, live.ErrCancelled) {
		r.Reason = event.ReasonCancelled
	}
}

// setDone fills in how a call to the engine ended.
func setDone(r *event.Result, err error) {
	if _, ok := errors.AsType[*policy.DeniedError](err); ok || errors.Is(err, hosts.ErrNoHosts) {
		SetRefused(r, err)
		return
	}
	if err != nil {
		setError(r, err)
		return
	}
	r.Status = event.Succeeded
}

// setError fills in an error of the engine.
func setError(r *event.Result, err error) {
	r.Status, r.Error = event.Errored, err.Error()
	if e, ok := errors.AsType[*dockerapi.Error](err); ok && e.Status != 0 {
		r.EngineError = e.Message
		if e.Status >= 400 { // below, the error came inside an answer that began as a success
			r.EngineError = "Error response from daemon: " + e.Message
		}
	}
	switch {
	case errors.As(err, new(*hosts.NoHostError)):
		r.Reason = event.ReasonNoSuchHost
	case errors.Is(err, dockerapi.ErrCommandNotFound):
		r.Reason, r.ExitCode = event.ReasonCommandNotFound, new(127)
	case errors.Is(err, dockerapi.ErrNotExecutable):
		r.Reason, r.ExitCode = event.ReasonNotExecutable, new(126)
	case errors.Is(err, dockerapi.ErrNoSuchContainer):
		r.Status, r.Reason = event.Failed, event.ReasonNoSuchContainer
	case errors.Is(err, dockerapi.ErrNoSuchImage):
		r.Reason = event.ReasonNoSuchImage
	case errors.Is(err, dockerapi.ErrNameInUse):
		r.Reason = event.ReasonNameConflict
	case errors.Is(err, dockerapi.ErrConflict), errors.Is(err, dockerapi.ErrRemovalInProgress):
		r.Reason = event.ReasonConflict
	case errors.Is(err, dockerapi.ErrInvalid):
		r.Reason = event.ReasonBadRequest
	default:
		r.Reason = event.ReasonEngine
	}
	if errors.As(err, new(*brokenError)) {
		r.Error += "; look for the cause in the engine's log, then send the message again"
	}
}

// setExit fills in how a program ended. asked: a message asked for its end. killed: see following.killed. over: the
// limit that it exceeded; nil: none. A code above 128 alone does not prove that a signal ended the program.
func setExit(r *event.Result, s dockerapi.State, asked, killed bool, over *excess) {
	r.ExitCode, r.OOMKilled = s.ExitCode, s.OOMKilled
	if !s.StartedAt.IsZero() {
		r.StartedAt = new(s.StartedAt.UTC())
	}
	if !s.FinishedAt.IsZero() {
		r.FinishedAt = new(s.FinishedAt.UTC())
	}
	if s.ExitCode == nil {
		setUnknown(r, "the engine does not know the exit code")
		return
	}
	code := *s.ExitCode
	switch {
	case over != nil:
		r.Status, r.Reason = event.Failed, over.reason
		r.Error = fmt.Sprintf("%s (exit code %d)", over.what, code)
	case asked:
		r.Status, r.Error = event.Stopped, fmt.Sprintf("stopped as a message asked (exit code %d)", code)
	case code == 0:
		r.Status = event.Succeeded
	case s.OOMKilled:
		r.Status, r.Reason = event.Failed, event.ReasonOOM
		r.Error = fmt.Sprintf("killed: out of memory (exit code %d)", code)
	case killed:
		r.Status, r.Reason = event.Failed, event.ReasonKilled
		r.Error = fmt.Sprintf("killed by signal %d, and no message here asked for it (exit code %d)", code-128, code)
	default:
		r.Status, r.Reason = event.Failed, event.ReasonExit
		r.Error = fmt.Sprintf("exited with code %d", code)
	}
}

// setUnknown fills in that a program may have run, and that its end is unknown.
func setUnknown(r *event.Result, why string) {
	r.ExitCode = nil
	r.Status, r.Reason, r.Error = event.Errored, event.ReasonEngine, why+"; the job may have done its work"
}

// outsideSignal reports whether a signal is sent to a program from outside: HUP, INT, QUIT, KILL or TERM. A program
// causes signals such as SEGV and ABRT itself.
func outsideSignal(n int) bool {
	switch n {
	case 1, 2, 3, 9, 15:
		return true
	}
	return false
}

// wants reports whether r asks for another attempt after the result res.
func wants(r *message.Retry, res *event.Result) bool {
	if res.Status != event.Failed {
		return false
	}
	if r.Reasons == nil && r.Codes == nil {
		return slices.Contains(message.RetryReasons[:3], res.Reason)
	}
	return slices.Contains(r.Reasons, res.Reason) || res.ExitCode != nil && slices.Contains(r.Codes, *res.ExitCode)
}

// setAttempts fills in whether another attempt follows this one. stopped: a message asked for the end, so none does.
func setAttempts(res *event.Result, r *message.Retry, attempt int, stopped bool) {
	if stopped || !wants(r, res) {
		return
	}
	if attempt > r.Max {
		res.Spent = true
		res.Error += fmt.Sprintf("; given up after %d attempts", attempt)
		return
	}
	res.Retrying = true
	res.Error += fmt.Sprintf("; trying again in %v (attempt %d of %d)", r.DelayAfter(attempt), attempt+1, r.Max+1)
}

// ContainerResult returns the result of a command on the container ref, which ended with err.
func (t *Work) ContainerResult(ref string, err error) (*event.Result, error) {
	if err != nil && final(err) {
		return nil, err
	}
	r := t.Result()
	r.ContainerName = cmp.Or(t.Name, ref)
	setDone(r, err)
	return r, nil
}

// output returns the sink for the output of a command on the container ref.
func (t *Work) output(ref string) *output.Output {
	piece := func(stream string, offset int64, data []byte) event.Output {
		return event.Output{Job: t.ID, ContainerName: cmp.Or(t.Name, ref), Attempt: t.ShownAttempt(), Stream: stream, Offset: offset, Data: data}
	}
	emit := func(stream string, offset int64, data []byte) error {
		t.Carrier.Tally.Output.Add(int64(len(data)))
		return t.Carrier.Reporter.Output(piece(stream, offset, data))
	}
	var raw func(stream string, offset int64, data []byte)
	if t.Live != nil {
		raw = func(stream string, offset int64, data []byte) { t.Live.Write(piece(stream, offset, data)) }
	}
	return output.NewOutput(emit, raw, t.Carrier.Capture, &t.Carrier.lineBudget)
}

// Result returns a result of a task with the fields that every result has.
func (c *Carrier) Result(t *live.Task) *event.Result {
	return &event.Result{
		Job: t.ID, Command: t.Traits.Verb, Host: c.Host, Queue: t.Queue, Attempt: t.ShownAttempt(),
		ContainerID: t.ContainerID(), ContainerName: t.Name,
	}
}

// Result is Carrier.Result with the engine's warnings.
func (t *Work) Result() *event.Result {
	r := t.Carrier.Result(&t.Task)
	r.Warnings = t.creation.warnings
	return r
}
