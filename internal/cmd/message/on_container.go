package message

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// A Ref is the container that a command is for.
type Ref struct {
	Container string // name or id
	Job       string // instead of Container: the job that the container was made for
}

// Target implements Command.
func (r *Ref) Target() string { return r.Container }

func (r *Ref) of() *Ref { return r }

// RefOf returns the container that a command is for, or nil if there is none.
func RefOf(c Command) *Ref {
	if on, ok := c.(commandOn); ok {
		return on.of()
	}
	return nil
}

// A commandOn is a command for a container.
type commandOn interface {
	Command
	of() *Ref
}

// onContainer makes the row of a command for a container, which has keys besides those that say which container. The checks
// refuse a command that is not complete.
func onContainer[T any, C interface {
	*T
	commandOn
}](name string, keys, options []key[T], checks ...func(*T) error) verb {
	keys = append([]key[T]{
		textKey("Container", "name or id", func(c *T) *string { return &C(c).of().Container }, flagval.CheckRef),
		textKey("Job", "in place of Container, the job that it was made for: the message_id of its message", func(c *T) *string { return &C(c).of().Job }, checkJob),
	}, keys...)
	return command(name, keys, options, func(c *T) (Command, error) {
		switch r := C(c).of(); {
		case r.Container == "" && r.Job == "":
			return nil, fmt.Errorf(`key "Container" is missing; %s needs the name or id of a container, or a Job`, name)
		case r.Container != "" && r.Job != "":
			return nil, errors.New("only one of Container and Job can be given")
		}
		for _, check := range checks {
			if err := check(c); err != nil {
				return nil, err
			}
		}
		return C(c), nil
	})
}

func checkJob(s string) error {
	if s == "" || len(s) > 4*255 { // a message_id has at most 255 bytes, each of which is written with at most four
		return fmt.Errorf("expected a job's id, got %s", flagval.Quote(s))
	}
	return nil
}

// Start starts a container that was created or has exited, as `docker start` does.
type Start struct{ Ref }

// Stop stops a container, as `docker stop` does.
type Stop struct {
	Ref
	Time   *int   // seconds before the kill; nil: the container's own stop timeout, 10 unless set
	Signal string // instead of the container's own; needs API 1.42
}

// Restart stops a container if it runs, and starts it, as `docker restart` does.
type Restart Stop

// stopOptions are the options of a command that stops a container.
func stopOptions[T any](stop func(*T) *Stop) []key[T] {
	return []key[T]{
		{name: "Time", form: formWhole, help: "seconds before the kill; 0 kills at once; left out: the container's own setting, else 10",
			decode: func(c *T, v json.RawMessage) error { return decodeSeconds(&stop(c).Time, v) }},
		textKey("Signal", "the signal to send first; left out: the container's own, else TERM", func(c *T) *string { return &stop(c).Signal }),
	}
}

// patient reports whether the stop may take over a minute. own is the stop timeout of the container; negative: no limit.
func (s *Stop) patient(own *int) bool {
	seconds := cmp.Or(s.Time, own)
	return seconds != nil && (*seconds > 60 || *seconds < 0)
}

// Kill sends a signal to a container, as `docker kill` does.
type Kill struct {
	Ref
	Signal string // empty: KILL
}

var killOptions = []key[Kill]{
	textKey("Signal", "the signal, such as `HUP`; left out: `KILL`", func(k *Kill) *string { return &k.Signal }),
}

// ends reports whether the signal is meant to end the container.
func (k *Kill) ends() bool {
	switch strings.TrimPrefix(strings.ToUpper(k.Signal), "SIG") {
	case "", "KILL", "TERM", "INT", "QUIT", "9", "15", "2", "3":
		return true
	}
	return false
}

// Pause suspends a container's processes, as `docker pause` does.
type Pause struct{ Ref }

// Unpause resumes a container's processes, as `docker unpause` does.
type Unpause struct{ Ref }

// Rename gives a container another name, as `docker rename` does.
type Rename struct {
	Ref
	NewName string
}

var renameKeys = []key[Rename]{
	textKey("NewName", "the name it is to have, none that begins with `dispatch-`", func(r *Rename) *string { return &r.NewName }, checkOwnName),
}

func checkRename(r *Rename) error {
	if r.NewName == "" {
		return errors.New(`key "NewName" is missing; rename needs the name that the container is to have`)
	}
	return nil
}

// Remove removes a container, as `docker rm` does.
type Remove struct {
	Ref
	Volumes bool // removes its anonymous volumes too
	Force   bool // kills it first if it runs
}

var removeOptions = []key[Remove]{
	boolKey("Volumes", "remove its anonymous volumes too", func(r *Remove) *bool { return &r.Volumes }),
	boolKey("Force", "kill it first if it runs", func(r *Remove) *bool { return &r.Force }),
}

// Wait waits until a container has exited, and reports its exit code, as `docker wait` does.
type Wait struct{ Ref }

// Inspect outputs the engine's description of a container, as `docker inspect` does.
type Inspect struct{ Ref }
