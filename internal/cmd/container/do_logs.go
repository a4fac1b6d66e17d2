package container

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/logkept"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/secrets"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

func (t *Work) doLogs(l *message.Logs) (*event.Result, error) {
	c := t.On
	t.TakesEffect()
	out := t.output(l.Container)
	now := time.Now()
	o := dockerapi.LogsOptions{
		Follow: l.Follow, Since: message.LogTime(l.Since, now), Until: message.LogTime(l.Until, now), Tail: l.Tail,
		Timestamps: l.Timestamps, Details: l.Details,
		Stdout: &out.Stdout, Stderr: &out.Stderr, Tty: c.Tty,
	}
	cut := false
	err := t.tryLong(func() error {
		out.Replay(false)
		join, err := t.Carrier.Docker.ContainerLogs(t.Ctx, c.ID, o)
		if err == nil {
			err = join()
		}
		if err == nil && o.Follow && (o.Tail == "" || o.Tail == "all") && logkept.Bytes(c.LogDriver, c.LogOpts) == logkept.All {
			// When a container ends, some engines end its followed log without error, though a slow reader lacks the rest.
			whole := o
			whole.Follow = false
			out.Replay(false)
			if join, err = t.Carrier.Docker.ContainerLogs(t.Ctx, c.ID, whole); err == nil {
				err = join()
			}
		}
		// With Tail a second request returns other lines, so nothing read before can be skipped.
		if cut = cut || err != nil && o.Tail != "" && o.Tail != "all"; cut {
			out.NoReplay()
		}
		return err
	})
	r, err := t.ContainerResult(l.Container, err)
	if err == nil {
		out.End(r, cut)
	}
	return r, err
}

func (t *Work) doInspect(i *message.Inspect) (*event.Result, error) {
	c := t.On
	raw, err := ask(t, func() (json.RawMessage, error) { return t.Carrier.Docker.InspectContainerRaw(t.Ctx, c.ID) })
	if err == nil {
		raw, err = secrets.Hide(raw, c.Labels)
	}
	r, err := t.ContainerResult(i.Container, err)
	if err != nil || r.Status != event.Succeeded {
		return r, err
	}
	var text bytes.Buffer
	text.WriteString("[\n    ")
	if err := json.Indent(&text, raw, "    ", "    "); err != nil {
		text.Write(raw)
	}
	text.WriteString("\n]\n")
	out := t.output(i.Container)
	out.Stdout.Write(text.Bytes())
	out.End(r, false)
	return r, nil
}
