// Package container carries commands out on the engine. Begin with [Work.Do] in do.go. carrier.go has what all commands share. The
// other files, in the order in which a run meets them:
//
//	do_run.go      a run and a create; do_exec.go, do_pull.go; do_logs.go: logs and inspect; do_control.go: stop, kill, remove and
//	               the others that one engine call does
//	create.go      creates a container, or adopts the container that a crash left; name_taken.go waits for a name that another
//	               container has
//	follow.go      starts it and follows it to its exit, over broken connections too; watch.go is what goes on while it runs,
//	               exit.go ends it at its limits; unseen.go finds out what an engine missed while it was down; readlog.go
//	               attaches to its output, and reads missed output from the log
//	labelled.go    lists containers by their labels
//	retry.go       repeats engine calls that failed
//	outcome.go     the result
//	remove.go      removes a container
package container

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/exits"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
	"github.com/mutaphore/docker-dispatch/internal/cmd/secrets"
	"github.com/mutaphore/docker-dispatch/internal/cmd/tally"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A Carrier carries out the commands of tasks on one engine. Its exported fields do not change after the first command.
type Carrier struct {
	Docker   Docker
	Engine   *engine.Engine
	Exits    *exits.Exits
	Reporter Reporter
	Jobs     *live.Registry
	Hosts    *hosts.Hosts
	Tally    *tally.Tally

	// Begin makes a task due again whose turn had come, and of which the engine was told nothing. It returns false if the
	// task is not to begin.
	Begin func(*live.Task) bool

	Stopping   <-chan struct{} // closed when no more jobs come
	Host       string          // this machine's name, for results
	Queue      string          // the queue whose containers Exits knows
	Pull       string          // "missing", "always" or "never"
	Timeout    time.Duration   // the longest that a foreground run, a wait or a followed log may last; 0: no limit
	Capture    int             // a result holds the last so many bytes of each stream
	Secrets    secrets.Folder
	RetryFirst time.Duration // first delay before a call that failed with a temporary engine error is repeated
	Idle       time.Duration // how long the output may be silent after the exit before the carrier stops waiting for it

	// Credentials returns an image's registry credentials, as dockerapi.PullOptions.Auth has them. Nil: none.
	Credentials func(ctx context.Context, image string) (auth string, err error)

	pulls      pulls
	lists      lists
	lineBudget atomic.Int64 // shared by all streams, see output.NewOutput
}

// A Work is a task on whose command a goroutine works. Only that goroutine uses its fields.
type Work struct {
	live.Task
	Carrier  *Carrier
	On       *dockerapi.Container // the container that the command is for; nil: it is not known yet, or the command makes it
	Live     *output.Live         // sends output to the reply_to; may be nil
	AtEnd    func()               // called after the job is settled and forgotten; may be nil
	creation creation
}

// A Reporter receives what jobs produce, to show it. Its methods are called from many goroutines.
type Reporter interface {
	// Pull shows how far the pull of a job's image has come. A slow call makes later events rarer, and does not slow the pull.
	Pull(event.Pull)

	Started(event.Started)

	// Output shows a piece of output. A slow call slows the container that wrote the piece. After an error the piece is
	// lost, and the result is marked Incomplete.
	Output(event.Output) error

	// Result shows how a job ended. After an error it will never be shown: then the job is left unsettled, for a later
	// process.
	Result(event.Result) error
}

// Docker is the part of *dockerapi.Client that the commands use.
type Docker interface {
	engine.Docker
	exits.Docker
	CreateContainer(ctx context.Context, name string, cfg dockerapi.ContainerConfig) (dockerapi.Created, error)
	StartContainer(ctx context.Context, id string) error
	StopContainer(ctx context.Context, id string, o dockerapi.StopOptions) error
	RestartContainer(ctx context.Context, id string, o dockerapi.StopOptions) error
	KillContainer(ctx context.Context, id, signal string) error
	PauseContainer(ctx context.Context, id string) error
	UnpauseContainer(ctx context.Context, id string) error
	RemoveContainer(ctx context.Context, id string, o dockerapi.RemoveOptions) error
	RenameContainer(ctx context.Context, id, name string) error
	InspectContainer(ctx context.Context, id string) (dockerapi.Container, error)
	InspectContainerRaw(ctx context.Context, id string) (json.RawMessage, error)
	ListContainers(ctx context.Context, o dockerapi.ListOptions) ([]dockerapi.ContainerSummary, error)
	WaitContainer(ctx context.Context, id string, cond dockerapi.Condition) (join func() (dockerapi.ExitStatus, error), err error)
	AttachContainer(ctx context.Context, id string, o dockerapi.AttachOptions) (join func() error, err error)
	RemembersCreation(ctx context.Context, c dockerapi.Container) (bool, error)
	RemembersKill(ctx context.Context, c dockerapi.Container, signal int) (bool, error)
	EngineStarted(ctx context.Context) (time.Time, error)
	ContainerLogs(ctx context.Context, id string, o dockerapi.LogsOptions) (join func() error, err error)
	InspectVolume(ctx context.Context, name string) (v dockerapi.Volume, found bool, err error)
	InspectNetwork(ctx context.Context, ref string) (n dockerapi.Network, found bool, err error)
	ConnectNetwork(ctx context.Context, network, id string, e dockerapi.EndpointSettings) error
	CreateExec(ctx context.Context, containerID string, cfg dockerapi.ExecConfig) (id string, err error)
	StartExec(ctx context.Context, execID string, o dockerapi.AttachOptions) (join func() error, err error)
	StartExecDetached(ctx context.Context, execID string) error
	InspectExec(ctx context.Context, execID string) (dockerapi.Exec, error)
	PullImage(ctx context.Context, ref string, o dockerapi.PullOptions, progress func(dockerapi.PullProgress)) error
}

var _ Docker = (*dockerapi.Client)(nil)
