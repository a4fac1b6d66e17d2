package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Container is what the engine knows about a container.
type Container struct {
	ID        string // 64 hex digits
	Name      string // without the engine's leading slash
	Image     string // as it was given to create; Podman tells the full name, such as docker.io/library/busybox:latest
	ImageID   string // "sha256:..."
	Created   time.Time
	Labels    map[string]string // the image's among them
	Tty       bool              // its output is not framed: see AttachOptions
	LogDriver string            // "json-file", "none", ...
	LogOpts   map[string]string // the driver's options: "max-size", ...
	Networks  []string          // names of those that it is connected to, or will be when it starts
	State     State

	StopTimeout *int // seconds between a stop's signal and the kill; nil: it has none of its own
}

// State is where a container is in its life.
type State struct {
	// Status is created, running, paused, restarting, removing, exited or
	// dead.
	Status string

	Running    bool // also while paused or restarting
	Paused     bool
	Restarting bool
	// OOMKilled: something in the container ran out of memory. From 24.0 on
	// that need not be its command, so it can stand beside exit code 0.
	OOMKilled bool
	Dead      bool

	// ExitCode is nil unless Ended, and where the engine does not know it. It is
	// 128 and the signal where one ended the command.
	ExitCode *int
	Error    string // why the last start failed

	StartedAt  time.Time // zero: never
	FinishedAt time.Time // zero: never
}

// Ended reports whether the container has run and come to its end, so that
// ExitCode is that of its command.
func (s State) Ended() bool {
	switch s.Status {
	case "exited", "dead":
		return true
	case "removing":
		return !s.Running && !s.StartedAt.IsZero()
	}
	return false
}

// ofDocker makes a state of Podman the one that an engine would have. While
// Podman stops a container, which still runs, it says that it does not run, and
// that its exit code is 0.
func (s State) ofDocker() State {
	s.Running = s.Running || s.Status == "stopping"
	s.Status = statusOfDocker(s.Status)
	s.ExitCode = knownExit(s.ExitCode)
	if !s.Ended() {
		s.ExitCode = nil // a 0 that is none
	}
	return s
}

// knownExit is an exit code, or nil where it is none: engines say -1 too of one
// that they do not know.
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
	case "stopped": // exited, and not yet cleaned up
		return "exited"
	}
	return status
}

// InspectContainer tells the state of a container. Its errors:
// [ErrNoSuchContainer].
//
// API: GET /containers/{id}/json.
func (c *Client) InspectContainer(ctx context.Context, id string) (Container, error) {
	r, err := container(opInspect, http.MethodGet, id, "/json")
	if err != nil {
		return Container{}, err
	}
	r.want = []int{http.StatusOK}
	r.limit = c.limits.read
	var answer struct {
		ID      string `json:"Id"`
		Name    string
		Image   string
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
		// The field names are those of the API. The zero time of Go is what
		// it sends for never.
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
		ImageID:   answer.Image,
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

// InspectContainerRaw is all that the engine tells of a container, as it tells
// it: one JSON object, whose fields differ between engines. Its errors:
// [ErrNoSuchContainer].
//
// API: GET /containers/{id}/json.
func (c *Client) InspectContainerRaw(ctx context.Context, id string) (json.RawMessage, error) {
	r, err := container(opInspect, http.MethodGet, id, "/json")
	if err != nil {
		return nil, err
	}
	r.want = []int{http.StatusOK}
	r.limit = c.limits.read
	var answer json.RawMessage
	if err := c.do(ctx, r, &answer); err != nil {
		return nil, err
	}
	if len(answer) == 0 || answer[0] != '{' {
		return nil, c.broken(ctx, ctx, r, &garbledError{start: excerpt(answer), err: errors.New("no JSON object")})
	}
	return answer, nil
}
