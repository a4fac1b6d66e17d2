package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Container is what the engine knows about a container.
type Container struct {
	ID        string // 64 hex digits
	Name      string // without the engine's leading slash
	Image     string // as given to create; Podman: the full name, such as docker.io/library/busybox:latest
	Created   time.Time
	Labels    map[string]string // including the image's
	Tty       bool              // the output is not framed: see AttachOptions
	LogDriver string            // "json-file", "none", ...
	LogOpts   map[string]string // the driver's options: "max-size", ...
	Networks  []string          // names of the networks that the container is in, or joins at its start
	State     State

	StopTimeout *int // seconds between the stop signal and the kill; nil: none was set for this container
}

// A State is the state of a container.
type State struct {
	// Status is created, running, paused, restarting, removing, exited or
	// dead.
	Status string

	Running bool // also while paused or restarting
	Paused  bool
	// OOMKilled: some process in the container ran out of memory. Since 24.0
	// that need not be the command, so it can stand beside exit code 0.
	OOMKilled bool

	// ExitCode is nil if not Ended, or if the engine does not know the code.
	// After a signal that ended the command it is 128 plus the signal.
	ExitCode *int
	Error    string // why the last start failed

	StartedAt  time.Time // zero: never
	FinishedAt time.Time // zero: never
}

// Ended reports whether the container has run and exited: ExitCode is then that
// of its command.
func (s State) Ended() bool {
	switch s.Status {
	case "exited", "dead":
		return true
	case "removing":
		return !s.Running && !s.StartedAt.IsZero()
	}
	return false
}

// ofDocker turns a state of Podman into that of a Docker Engine. While Podman
// is stopping a running container, Podman reports it as not running, with exit
// code 0.
func (s State) ofDocker() State {
	s.Running = s.Running || s.Status == "stopping"
	s.Status = statusOfDocker(s.Status)
	s.ExitCode = knownExit(s.ExitCode)
	if !s.Ended() {
		s.ExitCode = nil // a 0 of Podman here is no exit code
	}
	return s
}

// knownExit returns code, or nil if it is negative: engines also send -1 for an
// unknown exit code.
func knownExit(code *int) *int {
	if code != nil && *code < 0 {
		return nil
	}
	return code
}

func statusOfDocker(status string) string {
	switch status {
	case "configured", "initialized":
		return "created"
	case "stopping":
		return "running"
	case "stopped": // exited, not yet cleaned up
		return "exited"
	}
	return status
}

// InspectContainer returns the state of a container. Errors:
// [ErrNoSuchContainer].
func (c *Client) InspectContainer(ctx context.Context, id string) (Container, error) {
	r := container(opInspect, id)
	r.most = c.longest
	var answer struct {
		ID      string `json:"Id"`
		Name    string
		Created time.Time
		Config  struct {
			Image  string
			Labels map[string]string
			Tty    bool

			StopTimeout *int
		}
		HostConfig struct {
			LogConfig struct {
				Type   string
				Config map[string]string
			}
		}
		NetworkSettings struct {
			Networks map[string]struct{}
		}
		// The fields of State have the API's names. For never the API sends
		// Go's zero time.
		State State
	}
	if err := c.do(ctx, r, &answer); err != nil {
		return Container{}, err
	}
	if answer.ID == "" {
		return Container{}, c.withoutID(ctx, r)
	}
	return Container{
		ID:        answer.ID,
		Name:      strings.TrimPrefix(answer.Name, "/"),
		Image:     answer.Config.Image,
		Created:   answer.Created,
		Labels:    answer.Config.Labels,
		Tty:       answer.Config.Tty,
		LogDriver: answer.HostConfig.LogConfig.Type,
		LogOpts:   answer.HostConfig.LogConfig.Config,
		Networks:  slices.Sorted(maps.Keys(answer.NetworkSettings.Networks)),
		State:     answer.State.ofDocker(),

		StopTimeout: answer.Config.StopTimeout,
	}, nil
}

// InspectContainerRaw returns all that the engine tells about a container,
// unchanged: one JSON object, whose fields differ between engines. Errors:
// [ErrNoSuchContainer].
func (c *Client) InspectContainerRaw(ctx context.Context, id string) (json.RawMessage, error) {
	r := container(opInspect, id)
	r.most = c.longest
	var answer json.RawMessage
	if err := c.do(ctx, r, &answer); err != nil {
		return nil, err
	}
	if len(answer) == 0 || answer[0] != '{' {
		return nil, c.broken(ctx, r.operation, &garbledError{start: excerpt(answer), err: errors.New("no JSON object")})
	}
	return answer, nil
}
