package cmd

import (
	"errors"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Kill sends a signal to a container, as `docker kill` does.
type Kill struct {
	Ref
	Signal string // empty: KILL
}

var (
	killKeys    = refKeys(func(k *Kill) *Ref { return &k.Ref })
	killOptions = []key[Kill]{
		textKey("Signal", "the signal, such as `HUP`; left out: `KILL`", func(k *Kill) *string { return &k.Signal }),
	}
)

// Verb implements Command.
func (k *Kill) Verb() string { return "kill" }

// ends tells whether the signal is meant to end the container.
func (k *Kill) ends() bool {
	switch strings.TrimPrefix(strings.ToUpper(k.Signal), "SIG") {
	case "", "KILL", "TERM", "INT", "QUIT", "9", "15", "2", "3":
		return true
	}
	return false
}

func (k *Kill) do(t *task) (Result, func() error, error) {
	call := t.onceMore(func() error {
		return t.pool.Docker.KillContainer(t.ctx, k.Container, k.Signal)
	}, func(err error) bool {
		return errors.Is(err, dockerapi.ErrConflict) && t.is(k.Container, dockerapi.State.Ended)
	})
	ask := t.try
	if k.ends() {
		ask = func(call func() error) error { return t.askEnd(k.Container, call) }
	}
	return t.containerResult(k.Container, ask(call))
}
