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

// A Hosts has what one of several hosts that share a queue knows of the others. If one host has the queue alone, most methods do
// nothing.
type Hosts struct {
	Config
	lasting chan *lastingJob // oldest first
}

// Config is what a sharing needs.
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

// New returns what a host knows of the others.
func New(c Config) *Hosts {
	return &Hosts{Config: c, lasting: make(chan *lastingJob, live.MostCancels)}
}

// A Docker is the part of *dockerapi.Client that finds out which containers this host has.
type Docker interface {
	InspectContainer(ctx context.Context, id string) (dockerapi.Container, error)
	ListContainers(ctx context.Context, o dockerapi.ListOptions) ([]dockerapi.ContainerSummary, error)
}
