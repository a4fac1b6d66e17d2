package cmd

import "errors"

// Rename gives a container another name, as `docker rename` does.
type Rename struct {
	Ref
	NewName string
}

var renameKeys = append(refKeys(func(r *Rename) *Ref { return &r.Ref }),
	textKey("NewName", "the name it is to have, none that begins with `dispatch-`", func(r *Rename) *string { return &r.NewName }, checkOwnName),
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

// wasDone implements repeatable.
func (r *Rename) wasDone(t *task) bool {
	_, err := t.pool.Docker.InspectContainer(t.ctx, r.NewName)
	return err == nil
}

func (r *Rename) do(t *task) (Result, func() error, error) {
	return t.change(r.Container, func() error {
		return t.pool.Docker.RenameContainer(t.ctx, r.Container, r.NewName)
	}, func(error) bool { // engines differ in how they refuse the name that it has
		c, err := t.pool.Docker.InspectContainer(t.ctx, r.Container)
		return err == nil && c.Name == r.NewName
	})
}
