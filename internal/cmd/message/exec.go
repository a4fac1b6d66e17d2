package message

import (
	"encoding/json"
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// Exec runs a program in a running container, as `docker exec` does.
type Exec struct {
	Ref
	Cmd        []string
	Detach     bool // the job is done when the program has started
	Input      []byte
	Env        []string
	User       string
	Workdir    string
	Privileged bool
	Tty        bool
	Stream     bool // see Run

	Interactive bool
	HasInput    bool
}

var (
	execKeys = []key[Exec]{
		{name: "Cmd", form: formArray, help: "the program and its arguments", decode: func(e *Exec, v json.RawMessage) error {
			return decodeCommandLine(&e.Cmd, v)
		}},
		streamKey(func(e *Exec) *bool { return &e.Stream }),
	}
	execOptions = []key[Exec]{
		boolKey("Detach", "done when it has started; its output is not shown", func(e *Exec) *bool { return &e.Detach }),
		{name: "Env", form: formPairs, help: "environment variables, as for run", set: func(e *Exec, v []string) error {
			e.Env = v
			if err := flagval.Each(v, flagval.ParseEnv); err != nil {
				return err
			}
			return flagval.CheckArgs(v)
		}},
		boolKey("Interactive", "it gets an empty standard input; `Stdin` says so too", func(e *Exec) *bool { return &e.Interactive }),
		{name: "Stdin", form: formText, help: "what it reads on standard input", set: func(e *Exec, v []string) error {
			return setInput(&e.HasInput, &e.Input, []byte(v[0]))
		}},
		{name: "StdinBase64", form: formText, help: "the same in base64, for what is not text", set: func(e *Exec, v []string) error {
			return setInputBase64(&e.HasInput, &e.Input, v[0])
		}},
		boolKey("Privileged", "all rights on the host", func(e *Exec) *bool { return &e.Privileged }),
		boolKey("Tty", "a terminal: standard error is then part of standard output", func(e *Exec) *bool { return &e.Tty }),
		textKey("User", "user and group, NAME or id[:GROUP or id]", func(e *Exec) *string { return &e.User }),
		textKey("Workdir", "working directory", func(e *Exec) *string { return &e.Workdir }),
	}
)

func checkExec(e *Exec) error {
	switch {
	case len(e.Cmd) == 0:
		return errors.New(`key "Cmd" is missing or empty; exec needs the program to run`)
	case e.Tty && (e.Interactive || e.HasInput):
		return At("Options", errors.New("only one of Tty, and Interactive or Stdin, can be given: nobody types, and a terminal has no end of input"))
	case e.Detach && (e.Interactive || e.HasInput):
		return At("Options", errors.New("only one of Detach, and Interactive or Stdin, can be given; a detached program gets no input"))
	}
	return nil
}
