package cmd

import (
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Create makes a container without starting it, as `docker create` does.
type Create struct{ Run }

func decodeCreate(members []member) (Command, error) {
	c := new(Create)
	if err := decodeKeys(&c.Run, "create", members, imageKeys, containerOptions); err != nil {
		return nil, err
	}
	if c.Image == "" {
		return nil, errors.New(`key "Image" is missing or empty; create needs the image to make a container of`)
	}
	if err := c.check(); err != nil {
		return nil, at("Options", err)
	}
	// As the CLI has it, who takes it that the container is started by hand, attached.
	c.Stdin, c.Stdout, c.Stderr = c.Interactive, true, true
	return c, nil
}

// Verb implements Command.
func (c *Create) Verb() string { return "create" }

func (c *Create) do(t *task) (Result, func() error, error) {
	id, _, _, err := c.create(t)
	if err == nil && len(c.networks) > 1 {
		var made dockerapi.Container
		if made, err = t.inspect(id); err == nil {
			err = t.try(func() error { return c.connect(t, made) })
		}
	}
	if err != nil && final(err) {
		return Result{}, nil, err
	}
	r := t.result()
	r.Image = c.Image
	if err == nil {
		t.container.Store(&id)
		r.ContainerID = id
	}
	r.done(err)
	return r, nil, nil
}
