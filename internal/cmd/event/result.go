package event

import "time"

// Status is how a job ended, in one word.
type Status string

const (
	Succeeded Status = "succeeded" // done as asked
	Stopped   Status = "stopped"   // ended because a message asked for it
	Failed    Status = "failed"    // it ended badly: exit not 0, OOM, over its time, killed, no such container
	Refused   Status = "refused"   // the message was never carried out: not valid, forbidden, or cancelled
	Errored   Status = "error"     // the engine could not do it
)

// A Result is how one job ended: the event `result`, printed with --format json, and published. Times are UTC.
type Result struct {
	Job           string
	Command       string `json:"Dockercmd,omitempty"`
	Host          string `json:",omitempty"`
	Queue         string `json:",omitempty"`
	Status        Status
	Reason        string     `json:",omitempty"` // one of the Reason constants
	Error         string     `json:",omitempty"` // one sentence for a person
	EngineError   string     `json:",omitempty"` // the engine's own words, as the docker CLI shows them
	Attempt       int        `json:",omitempty"` // from 1; 0 if the job has no Retry
	Retrying      bool       `json:",omitempty"` // the job is tried again later: there will be another result
	ExitCode      *int       `json:",omitempty"`
	Warnings      []string   `json:",omitempty"` // the engine's, when it created the container
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

	Spent bool `json:"-"` // the last attempt failed
}

// JSON returns the event as one line.
func (r Result) JSON() []byte {
	return r.AppendJSON(make([]byte, 0, 640+len(r.Stdout)+len(r.Stderr)))
}

// AppendJSON appends the event to b, as one line.
func (r Result) AppendJSON(b []byte) []byte {
	f := fields(append(b, `{"Event":"`+eventResult+`"`...))
	f.always("Job", r.Job)
	f.text("Dockercmd", r.Command)
	f.text("Host", r.Host)
	f.text("Queue", r.Queue)
	f.always("Status", string(r.Status))
	f.text("Reason", r.Reason)
	f.text("Error", r.Error)
	f.text("EngineError", r.EngineError)
	f.number("Attempt", int64(r.Attempt))
	f.flag("Retrying", r.Retrying)
	if r.ExitCode != nil {
		f.count("ExitCode", int64(*r.ExitCode))
	}
	f.texts("Warnings", r.Warnings)
	f.text("ContainerId", r.ContainerID)
	f.text("ContainerName", r.ContainerName)
	f.text("Image", r.Image)
	f.time("StartedAt", r.StartedAt)
	f.time("FinishedAt", r.FinishedAt)
	f.flag("OOMKilled", r.OOMKilled)
	f.flag("Adopted", r.Adopted)
	f.text("Stdout", r.Stdout)
	f.text("Stderr", r.Stderr)
	f.number("StdoutBytes", r.StdoutBytes)
	f.number("StderrBytes", r.StderrBytes)
	f.flag("Incomplete", r.Incomplete)
	return append(f, '}', '\n')
}

// Reasons: why a job did not succeed, in one word for programs.
const (
	ReasonExit            = "exit"                   // the container exited with a code other than 0
	ReasonOOM             = "oom"                    // it was killed because memory ran out
	ReasonTimeout         = "timeout"                // it reached its time limit
	ReasonOutput          = "output"                 // it wrote more than the policy allows
	ReasonKilled          = "killed"                 // it was ended by a signal that no message asked for
	ReasonNoSuchContainer = "no-such-container"      // the container does not exist
	ReasonInvalid         = "invalid-message"        // the message cannot be understood
	ReasonPolicy          = "policy"                 // the operator's policy forbids it
	ReasonNoSuchImage     = "no-such-image"          // the image is missing, and could not be pulled
	ReasonNoSuchHost      = "no-such-host"           // the message names a host that never was, or was released
	ReasonNameConflict    = "name-conflict"          // another container has the name
	ReasonConflict        = "conflict"               // the container's state does not allow it
	ReasonBadRequest      = "bad-request"            // the engine refuses what the message asks for
	ReasonCommandNotFound = "command-not-found"      // exit code 127, as with docker
	ReasonNotExecutable   = "command-not-executable" // exit code 126
	ReasonEngine          = "engine"                 // the engine failed
	ReasonCancelled       = "cancelled"              // a message asked for its end before it had started
	ReasonInternal        = "internal"               // a fault of this program
)
