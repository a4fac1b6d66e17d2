package cmd

import (
	"encoding/json"
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Stop stops a container, as `docker stop` does.
type Stop struct {
	Container string // name or id
	Time      *int   // seconds before the kill; nil: the container's own stop timeout, 10 unless set
}

func decodeStop(members []member) (Command, error) {
	s := new(Stop)
	keys := []key[Stop]{
		{"Container", func(s *Stop, v json.RawMessage) error { return decodeContainer(&s.Container, v) }},
	}
	options := []key[Stop]{
		{"Time", func(s *Stop, v json.RawMessage) error { return decodeSeconds(&s.Time, v) }},
	}
	if err := decodeKeys(s, "stop", members, keys, options); err != nil {
		return nil, err
	}
	if s.Container == "" {
		return nil, errors.New(`key "Container" is missing; stop needs the name or id of a container`)
	}
	return s, nil
}

func decodeContainer(to *string, v json.RawMessage) error {
	if err := decodeString(to, v); err != nil {
		return err
	}
	return checkRef(*to)
}

// Verb implements Command.
func (s *Stop) Verb() string { return "stop" }

// Target implements Command.
func (s *Stop) Target() string { return s.Container }

func (s *Stop) do(t *task) (Result, func() error, error) {
	runs := t.pool.jobs.runs(s.Container)
	for _, r := range runs {
		r.endAsked.Store(true) // its exit is then no surprise
	}
	err := t.try(func() error {
		return t.pool.Docker.StopContainer(t.ctx, s.Container, dockerapi.StopOptions{Time: s.Time})
	})
	if err == nil {
		for _, r := range runs {
			r.stopped.Store(true)
		}
	}
	return t.containerResult(s.Container, err)
}
