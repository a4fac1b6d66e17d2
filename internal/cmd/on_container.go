package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// A Ref is the container that a command is for.
type Ref struct {
	Container string // name or id
	Job       string // in place of that, the job that has it
}

// Target implements Command.
func (r *Ref) Target() string { return r.Container }

func (r *Ref) of() *Ref { return r }

// A commandOn is a command for a container.
type commandOn interface {
	Command
	of() *Ref
}

// refKeys are the keys that say which container a command is for.
func refKeys[T any](field func(*T) *Ref) []key[T] {
	return []key[T]{
		textKey("Container", "name or id", func(c *T) *string { return &field(c).Container }, checkRef),
		textKey("Job", "in place of Container, the job that it was made for: the message_id of its message", func(c *T) *string { return &field(c).Job }, checkJob),
	}
}

func checkJob(s string) error {
	if s == "" || len(s) > 4*255 { // bytes that are not UTF-8 are written with four
		return fmt.Errorf("expected a job's id, got %s", quote(s))
	}
	return nil
}

// decodeOn makes the decoder of a command on a container.
func decodeOn[T any, C interface {
	*T
	commandOn
}](verb string, keys, options []key[T]) func([]member) (Command, error) {
	return func(members []member) (Command, error) {
		c := C(new(T))
		if err := decodeKeys((*T)(c), verb, members, keys, options); err != nil {
			return nil, err
		}
		switch r := c.of(); {
		case r.Container == "" && r.Job == "":
			return nil, fmt.Errorf(`key "Container" is missing; %s needs the name or id of a container, or a Job`, verb)
		case r.Container != "" && r.Job != "":
			return nil, errors.New("only one of Container and Job can be given")
		}
		return c, nil
	}
}

// change carries out a change of the container id that is one call. There are two calls where the
// first answer was lost, or the message was delivered before: done tells whether the refusal of the
// second shows that the first was carried out. It is nil for a call that starts the container: see onceMore.
func (t *task) change(id string, call func() error, done func(err error) bool) (Result, func() error, error) {
	err := t.try(t.onceMore(call, done))
	return t.containerResult(id, err)
}

// onceMore makes a call of call that knows by done whether it was made before. Without done it knows by the container's
// start, before it calls again: otherwise the program would run twice.
func (t *task) onceMore(call func() error, done func(err error) bool) func() error {
	again, lost := t.again.Load(), false
	return func() error {
		if lost && done == nil {
			if c, err := t.pool.Docker.InspectContainer(t.ctx, t.on.ID); err != nil || !c.State.StartedAt.Equal(t.on.State.StartedAt) {
				return err
			}
		}
		err := call()
		if (again || lost) && err != nil && done != nil && done(err) {
			return nil
		}
		lost = lost || errors.Is(err, dockerapi.ErrUnreachable)
		return err
	}
}

// askEnd asks for the end of a container by call, which is then no surprise to the run that has it, nor to the execs in
// it. A restart ends only those.
func (t *task) askEnd(id string, call func() error) error {
	_, restart := t.cmd.(*Restart)
	runs := slices.DeleteFunc(t.pool.jobs.runs(id), func(r *task) bool {
		_, run := r.cmd.(*Run)
		return r.hasEnded.Load() || restart && run
	})
	for _, r := range runs {
		r.endAsked.Add(1)
	}
	_, stop := t.cmd.(*Stop)
	lost := false
	err := t.try(func() error {
		if stop && lost && t.is(id, dockerapi.State.Ended) { // by the stop whose answer was lost
			return nil
		}
		err := call()
		lost = errors.Is(err, dockerapi.ErrUnreachable)
		return err
	})
	if err != nil && !final(err) { // the engine has refused it
		for _, r := range runs {
			r.endAsked.Add(-1)
		}
	}
	return err
}

// A repeatable is a command that may find nothing of its container's old name because it was carried out before.
type repeatable interface {
	wasDone(t *task) bool
}

// resolve asks the engine which container a command is for: a name, an id or the beginning of one says that only
// to the engine, and not for long. From then on the command goes by the full id. over: there is nothing more to do.
func (t *task) resolve(r *Ref) (over bool, err error) {
	if r.Job != "" {
		if over, err = t.ofJob(r); over {
			return true, err
		}
	}
	if err == nil {
		t.on, err = t.inspect(r.Container)
	}
	switch c, ok := t.cmd.(repeatable); {
	case err == nil:
		r.Container = t.on.ID
	case ok && errors.Is(err, dockerapi.ErrNoSuchContainer) && t.again.Load() && c.wasDone(t):
		return true, nil
	}
	return false, err
}

// lookInto is the container of a command that gets into it, where the policy allows that.
func (t *task) lookInto() (dockerapi.Container, error) {
	return t.on, t.pool.Policy.mayLookInto(t, t.on)
}

// stays is an error where the container id is that of a run which has ended and removes it: to whoever sent
// the run it is no more, and a start would do again what the run did.
func (t *task) stays(id string) error {
	if !t.pool.jobs.leaves(id) {
		return nil
	}
	return fmt.Errorf("%w: %s ran with Remove and has ended, and is about to be removed", dockerapi.ErrNoSuchContainer, cmp.Or(t.name, id))
}

// is tells whether the state of the container id has what the caller looks for.
func (t *task) is(id string, state func(dockerapi.State) bool) bool {
	c, err := t.pool.Docker.InspectContainer(t.ctx, id)
	return err == nil && state(c.State)
}
