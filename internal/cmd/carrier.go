package cmd

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/exits"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
	"github.com/mutaphore/docker-dispatch/internal/cmd/secrets"
	"github.com/mutaphore/docker-dispatch/internal/cmd/tally"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A carrier carries out the commands of tasks on one engine. Its fields do not change after its first use.
type carrier struct {
	Docker   Docker
	Engine   *engine.Engine
	Exits    *exits.Exits
	Reporter Reporter
	Log      *slog.Logger
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
	lineBudget atomic.Int64 // shared by all streams, see output.NewOutput
}

// A work is a task on whose command a goroutine works. Only that goroutine uses its fields.
type work struct {
	live.Task
	carrier  *carrier
	on       dockerapi.Container // the container that the command is for; it is known before the command is carried out
	live     *output.Live        // sends output to the reply_to; may be nil
	watch    func()              // called after the job is settled and forgotten; may be nil
	creation creation
}
