package cmd

import (
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Pause stops a container's processes where they are, as `docker pause` does.
type Pause struct {
	Ref
}

// Unpause lets them go on, as `docker unpause` does.
type Unpause struct {
	Ref
}

var (
	pauseKeys   = refKeys(func(p *Pause) *Ref { return &p.Ref })
	unpauseKeys = refKeys(func(u *Unpause) *Ref { return &u.Ref })
)

// Verb implements Command.
func (p *Pause) Verb() string { return "pause" }

func (p *Pause) do(t *task) (Result, func() error, error) {
	return t.change(p.Container, func() error {
		return t.pool.Docker.PauseContainer(t.ctx, p.Container)
	}, func(error) bool {
		return t.is(p.Container, func(s dockerapi.State) bool { return s.Paused })
	})
}

// Verb implements Command.
func (u *Unpause) Verb() string { return "unpause" }

func (u *Unpause) do(t *task) (Result, func() error, error) {
	return t.change(u.Container, func() error {
		return t.pool.Docker.UnpauseContainer(t.ctx, u.Container)
	}, func(err error) bool {
		return !errors.Is(err, dockerapi.ErrNoSuchContainer) && t.is(u.Container, func(s dockerapi.State) bool { return s.Running && !s.Paused })
	})
}
