package cmd

import (
	"cmp"
	"encoding/json"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Stop stops a container, as `docker stop` does.
type Stop struct {
	Ref
	Time   *int   // seconds before the kill; nil: the container's own stop timeout, 10 unless set
	Signal string // instead of the container's own; API 1.42
}

// Restart stops a container, where it runs, and starts it, as `docker restart` does.
type Restart Stop

var (
	stopKeys    = refKeys(func(s *Stop) *Ref { return &s.Ref })
	stopOptions = []key[Stop]{
		{name: "Time", form: formWhole, help: "seconds before the kill; 0 kills at once; left out: the container's own setting, else 10",
			decode: func(s *Stop, v json.RawMessage) error { return decodeSeconds(&s.Time, v) }},
		textKey("Signal", "the signal to send first; left out: the container's own, else TERM", func(s *Stop) *string { return &s.Signal }),
	}
	restartKeys    = refKeys(func(s *Restart) *Ref { return &s.Ref })
	restartOptions = []key[Restart]{
		{name: "Time", form: formWhole, help: stopOptions[0].help,
			decode: func(s *Restart, v json.RawMessage) error { return decodeSeconds(&s.Time, v) }},
		textKey("Signal", stopOptions[1].help, func(s *Restart) *string { return &s.Signal }),
	}
)

// patient tells whether the stop of a container with that stop timeout of its own may take longer than most.
func (s *Stop) patient(own *int) bool {
	seconds := cmp.Or(s.Time, own)
	return seconds != nil && (*seconds > 60 || *seconds < 0)
}

// Verb implements Command.
func (s *Stop) Verb() string { return "stop" }

func (s *Stop) do(t *task) (Result, func() error, error) {
	runs := t.pool.jobs.runs(s.Container)
	err := t.askEnd(s.Container, func() error {
		return t.pool.Docker.StopContainer(t.ctx, s.Container, dockerapi.StopOptions{Time: s.Time, Own: t.on.StopTimeout, Signal: s.Signal})
	})
	if err == nil {
		for _, r := range runs {
			r.stopped.Store(true)
		}
	}
	return t.containerResult(s.Container, err)
}

// Verb implements Command.
func (s *Restart) Verb() string { return "restart" }

func (s *Restart) do(t *task) (Result, func() error, error) {
	err := t.askEnd(s.Container, t.onceMore(func() error {
		if err := t.stays(s.Container); err != nil {
			return err
		}
		return t.pool.Docker.RestartContainer(t.ctx, s.Container, dockerapi.StopOptions{Time: s.Time, Own: t.on.StopTimeout, Signal: s.Signal})
	}, nil))
	return t.containerResult(s.Container, err)
}
