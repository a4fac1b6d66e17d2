package cmd

import (
	"errors"
	"fmt"

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

// change carries out a change of the container ref that is one call. There are two calls where the
// first answer was lost, or the message was delivered before: done tells whether the refusal of the
// second shows that the first was carried out. It may be nil.
func (t *task) change(ref string, call func() error, done func(err error) bool) (Result, func() error, error) {
	err := t.try(t.onceMore(call, done))
	return t.containerResult(ref, err)
}

// onceMore makes a call of call that knows by done whether it was made before.
func (t *task) onceMore(call func() error, done func(err error) bool) func() error {
	again := t.again.Load()
	return func() error {
		err := call()
		if again && err != nil && done != nil && done(err) {
			return nil
		}
		again = again || errors.Is(err, dockerapi.ErrUnreachable)
		return err
	}
}

// askEnd asks for the end of a container by call, which is then no surprise to the run that has it.
func (t *task) askEnd(ref string, call func() error) error {
	runs := t.pool.jobs.runs(ref)
	for _, r := range runs {
		r.endAsked.Add(1)
	}
	err := t.try(call)
	if err != nil && !final(err) { // the engine has refused it
		for _, r := range runs {
			r.endAsked.Add(-1)
		}
	}
	return err
}

// lookInto finds the container ref for a command that gets into it, where the policy allows that.
func (t *task) lookInto(ref string) (dockerapi.Container, error) {
	c, err := t.inspect(ref)
	if err == nil {
		err = t.pool.Policy.mayLookInto(t, c)
	}
	return c, err
}

// stays is an error where the container ref is that of a run which has ended and removes it: to whoever sent
// the run it is no more, and a start would do again what the run did.
func (t *task) stays(ref string) error {
	if !t.pool.jobs.leaves(ref) {
		return nil
	}
	c, err := t.pool.Docker.InspectContainer(t.ctx, ref)
	if err != nil || !t.pool.jobs.leaves(c.ID) {
		return err
	}
	return fmt.Errorf("%w: %s ran with Remove and has ended, and is about to be removed", dockerapi.ErrNoSuchContainer, ref)
}

// is tells whether the state of the container ref has what the caller looks for.
func (t *task) is(ref string, state func(dockerapi.State) bool) bool {
	c, err := t.pool.Docker.InspectContainer(t.ctx, ref)
	return err == nil && state(c.State)
}
