package cmd

import (
	"context"
	"log/slog"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/joblog"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/tally"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A sharing has what one of several hosts that share a queue knows of the others. If one host has the queue alone, most methods do nothing.
type sharing struct {
	Claims   intake.Claims     // nil: one host has the queue alone
	Host     string            // this machine's name, by which messages choose it
	Labels   map[string]string // this host's, by which messages choose it
	VHost    string            // of the queue
	Docker   lister
	Jobs     *live.Registry
	Tally    *tally.Tally
	Log      *slog.Logger
	Lines    *joblog.Log
	Stopping <-chan struct{}  // closed when no more jobs come
	lasting  chan *lastingJob // oldest first
}

// A lister is the part of *dockerapi.Client that finds out which containers this host has.
type lister interface {
	InspectContainer(ctx context.Context, id string) (dockerapi.Container, error)
	ListContainers(ctx context.Context, o dockerapi.ListOptions) ([]dockerapi.ContainerSummary, error)
}
