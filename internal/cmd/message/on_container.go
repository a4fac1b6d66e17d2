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

// refKeys returns the keys that say which container a command is for.
func refKeys[T any](field func(*T) *Ref) []key[T] {
	return []key[T]{
		textKey("Container", "name or id", func(c *T) *string { return &field(c).Container }, flagval.CheckRef),
		textKey("Job", "in place of Container, the job that it was made for: the message_id of its message", func(c *T) *string { return &field(c).Job }, checkJob),
	}
}

func checkJob(s string) error {
	if s == "" || len(s) > 4*255 { // a message_id has at most 255 bytes, each of which is written with at most four
		return fmt.Errorf("expected a job's id, got %s", flagval.Quote(s))
	}
	return nil
}

// decodeOn returns the decoder of a command for a container.
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

// Stop stops a container, as `docker stop` does.
type Stop struct {
	Ref
	Time   *int   // seconds before the kill; nil: the container's own stop timeout, 10 unless set
	Signal string // instead of the container's own; needs API 1.42
}

// Restart stops a container if it runs, and starts it, as `docker restart` does.
type Restart Stop

var (
	stopKeys    = refKeys(func(s *Stop) *Ref { return &s.Ref })
	stopOptions = []key[Stop]{
		{name: "Time", form: formWhole, help: "seconds before the kill; 0 kills at once; left out: the container's own setting, else 10",
			decode: func(s *Stop, v json.RawMessage) error { return decodeSeconds(&s.Time, v) }},
		textKey("Signal", "the signal to send first; left out: the container's own, else TERM", func(s *Stop) *string { return &s.Signal }),
	}
	restartKeys    = refKeys(func(s *Restart) *Ref { return &s.Ref })
	restartOptions = []key[Restart]{
		{name: "Time", form: formWhole, help: stopOptions[0].help,
			decode: func(s *Restart, v json.RawMessage) error { return decodeSeconds(&s.Time, v) }},
		textKey("Signal", stopOptions[1].help, func(s *Restart) *string { return &s.Signal }),
	}
)

// patient reports whether the stop may take over a minute. own is the stop timeout of the container; negative: no limit.
func (s *Stop) patient(own *int) bool {
	seconds := cmp.Or(s.Time, own)
	return seconds != nil && (*seconds > 60 || *seconds < 0)
}

// Traits implements Command.
func (s *Stop) Traits() Traits {
	return Traits{Verb: "stop", Control: true, Ends: true, Stops: true, Patient: s.patient}
}

// Traits implements Command.
func (s *Restart) Traits() Traits {
	return Traits{Verb: "restart", Control: true, Patient: (*Stop)(s).patient}
}

// Kill sends a signal to a container, as `docker kill` does.
type Kill struct {
	Ref
	Signal string // empty: KILL
}

var (
	killKeys    = refKeys(func(k *Kill) *Ref { return &k.Ref })
	killOptions = []key[Kill]{
		textKey("Signal", "the signal, such as `HUP`; left out: `KILL`", func(k *Kill) *string { return &k.Signal }),
	}
)

// Traits implements Command.
func (k *Kill) Traits() Traits {
	return Traits{Verb: "kill", Control: true, Ends: k.ends(), Stops: k.ends()}
}

// ends reports whether the signal is meant to end the container.
func (k *Kill) ends() bool {
	switch strings.TrimPrefix(strings.ToUpper(k.Signal), "SIG") {
	case "", "KILL", "TERM", "INT", "QUIT", "9", "15", "2", "3":
		return true
	}
	return false
}

// Remove removes a container, as `docker rm` does.
type Remove struct {
	Ref
	Volumes bool // removes its anonymous volumes too
	Force   bool // kills it first if it runs
}

var (
	removeKeys    = refKeys(func(r *Remove) *Ref { return &r.Ref })
	removeOptions = []key[Remove]{
		boolKey("Volumes", "remove its anonymous volumes too", func(r *Remove) *bool { return &r.Volumes }),
		boolKey("Force", "kill it first if it runs", func(r *Remove) *bool { return &r.Force }),
	}
)

// Traits implements Command.
func (r *Remove) Traits() Traits {
	return Traits{Verb: "remove", Control: true, Ends: true, Removes: true}
}

// Pause suspends a container's processes, as `docker pause` does.
type Pause struct {
	Ref
}

// Unpause resumes a container's processes, as `docker unpause` does.
type Unpause struct {
	Ref
}

var (
	pauseKeys   = refKeys(func(p *Pause) *Ref { return &p.Ref })
	unpauseKeys = refKeys(func(u *Unpause) *Ref { return &u.Ref })
)

// Traits implements Command.
func (p *Pause) Traits() Traits {
	return Traits{Verb: "pause", Control: true}
}

// Traits implements Command.
func (u *Unpause) Traits() Traits {
	return Traits{Verb: "unpause", Control: true}
}

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

// Traits implements Command.
func (r *Rename) Traits() Traits {
	return Traits{Verb: "rename", Control: true, NewName: r.NewName}
}

// Start starts a container that was created or has exited, as `docker start` does.
type Start struct {
	Ref
}

var startKeys = refKeys(func(s *Start) *Ref { return &s.Ref })

// Traits implements Command.
func (s *Start) Traits() Traits {
	return Traits{Verb: "start", Control: true}
}

// Wait waits until a container has exited, and reports its exit code, as `docker wait` does.
type Wait struct {
	Ref
}

var waitKeys = refKeys(func(w *Wait) *Ref { return &w.Ref })

// Traits implements Command.
func (w *Wait) Traits() Traits {
	return Traits{Verb: "wait", Control: true, Waits: true}
}

// Inspect outputs the engine's description of a container, as `docker inspect` does.
type Inspect struct {
	Ref
}

var inspectKeys = refKeys(func(i *Inspect) *Ref { return &i.Ref })

// Traits implements Command.
func (i *Inspect) Traits() Traits {
	return Traits{Verb: "inspect", Control: true}
}
