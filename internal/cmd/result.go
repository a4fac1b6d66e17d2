package cmd

import (
	"cmp"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/live"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
)

// containerResult returns the result of a command on the container ref, which ended with err.
func (t *work) containerResult(ref string, err error) (*event.Result, error) {
	if err != nil && final(err) {
		return nil, err
	}
	r := t.result()
	r.ContainerName = cmp.Or(t.Name, ref)
	setDone(r, err)
	return r, nil
}

// output returns the sink for the output of a command on the container ref.
func (t *work) output(ref string) *output.Output {
	piece := func(stream string, offset int64, data []byte) event.Output {
		return event.Output{Job: t.ID, ContainerName: cmp.Or(t.Name, ref), Attempt: t.ShownAttempt(), Stream: stream, Offset: offset, Data: data}
	}
	emit := func(stream string, offset int64, data []byte) error {
		t.carrier.Tally.Output.Add(int64(len(data)))
		return t.carrier.Reporter.Output(piece(stream, offset, data))
	}
	var raw func(stream string, offset int64, data []byte)
	if t.live != nil {
		raw = func(stream string, offset int64, data []byte) { t.live.Write(piece(stream, offset, data)) }
	}
	return output.NewOutput(emit, raw, t.carrier.Capture, &t.carrier.lineBudget)
}

// result returns a result of a task with the fields that every result has.
func (c *carrier) result(t *live.Task) *event.Result {
	return &event.Result{
		Job: t.ID, Command: t.Traits.Verb, Host: c.Host, Queue: t.Queue, Attempt: t.ShownAttempt(),
		ContainerID: t.ContainerID(), ContainerName: t.Name,
	}
}

// result is carrier.result with the engine's warnings.
func (t *work) result() *event.Result {
	r := t.carrier.result(&t.Task)
	r.Warnings = t.creation.warnings
	return r
}
