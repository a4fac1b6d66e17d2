// Package hosts has what hosts that share a queue know of each other: which of them has a job or a name, and which is to have one.
//
// If several hosts share a queue, a run or a create claims its job before it creates its container, and mostly before that the
// container's name, if its message chose one. What another host has is forwarded to that host. So these hold:
//
//	a waiting task has no claim, and every container that we made has its claims until it is removed
//	a job's claim is deleted only after the job is settled, and before its container is removed: a sweep finds the keys of a
//	container that a crash left by its labels
//	a claim without a container is of a job that this host is to run: it was killed between the two; or see lasting.go
//
// A remove and a rename hold the name that their container has no more, until they are settled. A pull that chooses its host claims its
// job. Other commands claim nothing. [Hosts.EndClaims] says what becomes of all these.
//
// Begin with [Hosts.ClaimRun] in claim.go, which claims; the same file gives up. claim_name.go: names; lasting.go: claims without a
// task; place.go: which host makes a container, if the message says it, and what goes to this host's own queue; who_has.go: which host
// has the container of a command. If it is another one, the answer is a [live.Elsewhere], and internal/cmd/hand_over.go forwards the
// message.
package hosts

import (
	"context"
	"log/slog"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/joblog"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/tally"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Hosts are the hosts that share a queue, as one of them knows them. If it has the queue alone, most methods do nothing.
type Hosts struct {
	Config
	lasting chan *lastingJob // oldest first
}

// Config is what Hosts need.
type Config struct {
	Claims   intake.Claims     // nil: one host has the queue alone
	Host     string            // this machine's name, by which messages choose it
	Labels   map[string]string // this host's, by which messages choose it
	VHost    string            // of the queue
	Docker   Docker
	Jobs     *live.Registry
	Tally    *tally.Tally
	Log      *slog.Logger
	Lines    *joblog.Log
	Stopping <-chan struct{} // closed when no more jobs come
}

// New returns the hosts, of which none is known yet.
func New(c Config) *Hosts {
	return &Hosts{Config: c, lasting: make(chan *lastingJob, live.MostCancels)}
}

// A Docker is the part of *dockerapi.Client that finds out which containers this host has.
type Docker interface {
	InspectContainer(ctx context.Context, id string) (dockerapi.Container, error)
	ListContainers(ctx context.Context, o dockerapi.ListOptions) ([]dockerapi.ContainerSummary, error)
}
