package cmd

import (
	"bytes"
	"encoding/json"
)

// Inspect tells what the engine knows of a container, as `docker inspect` does: as output.
type Inspect struct {
	Ref
}

var inspectKeys = refKeys(func(i *Inspect) *Ref { return &i.Ref })

// Verb implements Command.
func (i *Inspect) Verb() string { return "inspect" }

func (i *Inspect) do(t *task) (Result, func() error, error) {
	c, err := t.lookInto()
	if err != nil {
		return t.containerResult(i.Container, err)
	}
	var raw json.RawMessage
	err = t.try(func() (err error) {
		raw, err = t.pool.Docker.InspectContainerRaw(t.ctx, c.ID)
		return err
	})
	r, cleanup, err := t.containerResult(i.Container, err)
	if err != nil || r.Status != Succeeded {
		return r, cleanup, err
	}
	var text bytes.Buffer
	text.WriteString("[\n    ")
	if err := json.Indent(&text, raw, "    ", "    "); err != nil {
		text.Write(raw)
	}
	text.WriteString("\n]\n")
	out := t.output(i.Container)
	out.stdout.Write(text.Bytes())
	r.output(out, false)
	return r, nil, nil
}
