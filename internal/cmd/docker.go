package cmd

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/engine"
	"github.com/mutaphore/docker-dispatch/internal/cmd/exits"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

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
