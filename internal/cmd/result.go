package cmd

import (
	"errors"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Status is how a job ended, in one word.
type Status string

const (
	Succeeded Status = "succeeded" // done as asked
	Stopped   Status = "stopped"   // ended because a message asked for it
	Failed    Status = "failed"    // the engine did it, and it ended badly: exit not 0, OOM, no such container
	Refused   Status = "refused"   // the message was never carried out: not valid, or forbidden
	Errored   Status = "error"     // the engine could not do it
)

// A Result is how one job ended: DESIGN's `result` event, printed with --format json.
// Times are UTC; zero times, empty strings and nil pointers are left out.
type Result struct {
	Job           string
	Command       string `json:"Dockercmd,omitempty"`
	Host          string `json:",omitempty"`
	Queue         string `json:",omitempty"`
	Status        Status
	Reason        string     `json:",omitempty"` // one of the Reason constants
	Error         string     `json:",omitempty"` // one sentence for a person
	EngineError   string     `json:",omitempty"` // the engine's own words, as the docker CLI shows them
	Attempt       int        `json:",omitempty"` // from 1; 0 where the job has no Retry
	Retrying      bool       `json:",omitempty"` // the job is tried again later: there will be another result
	ExitCode      *int       `json:",omitempty"`
	Warnings      []string   `json:",omitempty"` // the engine's, of the container as it was created
	ContainerID   string     `json:"ContainerId,omitempty"`
	ContainerName string     `json:",omitempty"`
	Image         string     `json:",omitempty"`
	StartedAt     *time.Time `json:",omitempty"`
	FinishedAt    *time.Time `json:",omitempty"`
	OOMKilled     bool       `json:",omitempty"`
	Adopted       bool       `json:",omitempty"`
	Stdout        string     `json:",omitempty"` // the last bytes, up to --capture
	Stderr        string     `json:",omitempty"`
	StdoutBytes   int64      `json:",omitempty"`
	StderrBytes   int64      `json:",omitempty"`
	Incomplete    bool       `json:",omitempty"` // output is missing, or may be

	spent bool // it failed, and was the last attempt
}

// Reasons: why a job did not succeed, in one word for programs.
const (
	ReasonExit            = "exit"                   // the container exited with a code other than 0
	ReasonOOM             = "oom"                    // it was killed for want of memory
	ReasonTimeout         = "timeout"                // it ran longer than it may
	ReasonKilled          = "killed"                 // it ended by a signal that nobody here asked for
	ReasonNoSuchContainer = "no-such-container"      // the container does not exist
	ReasonInvalid         = "invalid-message"        // the message cannot be understood
	ReasonPolicy          = "policy"                 // the operator's policy forbids it
	ReasonNoSuchImage     = "no-such-image"          // the image is not there, and could not be pulled
	ReasonNameConflict    = "name-conflict"          // another container has the name
	ReasonConflict        = "conflict"               // the container's state does not allow it
	ReasonBadRequest      = "bad-request"            // the engine refuses what the message asks for
	ReasonCommandNotFound = "command-not-found"      // exit code 127, as docker has it
	ReasonNotExecutable   = "command-not-executable" // exit code 126
	ReasonEngine          = "engine"                 // the engine failed
	ReasonCancelled       = "cancelled"              // a message asked for its end before it had started
	ReasonInternal        = "internal"               // a fault of this program
)

// verdict decides what becomes of the message. It is the only place that does.
func verdict(r Result) Verdict {
	switch {
	case r.Retrying:
		return TryAgain
	case r.Status == Succeeded, r.Status == Stopped, r.Status == Failed && !r.spent, r.Reason == ReasonCancelled:
		return Ack
	}
	return DeadLetter
}

// refuse fills in why a message is not carried out.
func (r *Result) refuse(err error) {
	r.Status, r.Reason, r.Error = Refused, ReasonInvalid, err.Error()
	if _, ok := errors.AsType[*deniedError](err); ok {
		r.Reason = ReasonPolicy
	}
	if errors.Is(err, errCancelled) {
		r.Reason = ReasonCancelled
	}
}

// done fills in how a call of the engine ended.
func (r *Result) done(err error) {
	if _, ok := errors.AsType[*deniedError](err); ok {
		r.refuse(err)
		return
	}
	if err != nil {
		r.fail(err)
		return
	}
	r.Status = Succeeded
}

// output ends the output, and fills in what a result holds of it. cut: some is known to be missing.
func (r *Result) output(o *output, cut bool) {
	short := o.finish()
	r.Stdout, r.StdoutBytes = text(o.stdout.tail.bytes()), o.stdout.seen
	r.Stderr, r.StderrBytes = text(o.stderr.tail.bytes()), o.stderr.seen
	r.Incomplete = cut || short || o.unshown() || o.altered()
}

// fail fills in an error of the engine.
func (r *Result) fail(err error) {
	r.Status, r.Error = Errored, err.Error()
	if e, ok := errors.AsType[*dockerapi.Error](err); ok && e.Status != 0 {
		r.EngineError = e.Message
		if e.Status >= 400 { // else it came in the course of the answer
			r.EngineError = "Error response from daemon: " + e.Message
		}
	}
	switch {
	case errors.Is(err, dockerapi.ErrCommandNotFound):
		r.Reason, r.ExitCode = ReasonCommandNotFound, new(127)
	case errors.Is(err, dockerapi.ErrNotExecutable):
		r.Reason, r.ExitCode = ReasonNotExecutable, new(126)
	case errors.Is(err, dockerapi.ErrNoSuchContainer):
		r.Status, r.Reason = Failed, ReasonNoSuchContainer
	case errors.Is(err, dockerapi.ErrNoSuchImage):
		r.Reason = ReasonNoSuchImage
	case errors.Is(err, dockerapi.ErrNameInUse):
		r.Reason = ReasonNameConflict
	case errors.Is(err, dockerapi.ErrConflict), errors.Is(err, dockerapi.ErrRemovalInProgress):
		r.Reason = ReasonConflict
	case errors.Is(err, dockerapi.ErrInvalid):
		r.Reason = ReasonBadRequest
	default:
		r.Reason = ReasonEngine
	}
	if errors.As(err, new(*brokenError)) {
		r.Error += "; look for the cause in the engine's log, then send the message again"
	}
}

// exit fills in how a program ended. asked: a message asked for its end; killed: the engine was asked, by no message
// here, to send the signal that its exit code names; late: its time was up. A code above 128 by itself is only a code.
func (r *Result) exit(s dockerapi.State, asked, killed bool, late time.Duration) {
	r.ExitCode, r.OOMKilled = s.ExitCode, s.OOMKilled
	if !s.StartedAt.IsZero() {
		r.StartedAt = new(s.StartedAt.UTC())
	}
	if !s.FinishedAt.IsZero() {
		r.FinishedAt = new(s.FinishedAt.UTC())
	}
	if s.ExitCode == nil {
		r.unknown("the engine does not know the exit code")
		return
	}
	code := *s.ExitCode
	switch {
	case late > 0:
		r.Status, r.Reason = Failed, ReasonTimeout
		r.Error = fmt.Sprintf("stopped after %v, the longest it may run (exit code %d)", late, code)
	case asked:
		r.Status, r.Error = Stopped, fmt.Sprintf("stopped as a message asked (exit code %d)", code)
	case code == 0:
		r.Status = Succeeded
	case s.OOMKilled:
		r.Status, r.Reason = Failed, ReasonOOM
		r.Error = fmt.Sprintf("killed for want of memory (exit code %d)", code)
	case killed:
		r.Status, r.Reason = Failed, ReasonKilled
		r.Error = fmt.Sprintf("ended by signal %d, which no message here asked for (exit code %d)", code-128, code)
	default:
		r.Status, r.Reason = Failed, ReasonExit
		r.Error = fmt.Sprintf("exited with code %d", code)
	}
}

// exitUnknown is what an engine says, where it does not say 0, of a container that ended while the engine was
// down, where it could not learn how.
const exitUnknown = 255

const exitUnseen = "the engine was down when the container ended, and does not know its exit code"

// unknown fills in that a program may have run, and that nobody knows how it ended.
func (r *Result) unknown(why string) {
	r.ExitCode = nil
	r.Status, r.Reason, r.Error = Errored, ReasonEngine, why+"; the job may have done its work"
}

// outsideSignal tells whether a signal comes from without: HUP, INT, QUIT, KILL and TERM are sent
// to a program, the likes of SEGV and ABRT are its own doing.
func outsideSignal(n int) bool {
	switch n {
	case 1, 2, 3, 9, 15:
		return true
	}
	return false
}
