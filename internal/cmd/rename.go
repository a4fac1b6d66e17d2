package cmd

import (
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// Rename gives a container another name, as `docker rename` does.
type Rename struct {
	Ref
	NewName string
}

var renameKeys = append(refKeys(func(r *Rename) *Ref { return &r.Ref }),
	textKey("NewName", "the name it is to have", func(r *Rename) *string { return &r.NewName }, checkName),
)

func decodeRename(members []member) (Command, error) {
	c, err := decodeOn[Rename, *Rename]("rename", renameKeys, nil)(members)
	if err == nil && c.(*Rename).NewName == "" {
		return nil, errors.New(`key "NewName" is missing; rename needs the name that the container is to have`)
	}
	return c, err
}

// Verb implements Command.
func (r *Rename) Verb() string { return "rename" }

func (r *Rename) do(t *task) (Result, func() error, error) {
	return t.change(r.Container, func() error {
		return t.pool.Docker.RenameContainer(t.ctx, r.Container, r.NewName)
	}, func(err error) bool {
		return errors.Is(err, dockerapi.ErrNoSuchContainer) && t.is(r.NewName, func(dockerapi.State) bool { return true })
	})
}
