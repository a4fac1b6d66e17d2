package message

import (
	"errors"

	"github.com/mutaphore/docker-dispatch/internal/cmd/message/flagval"
)

// Exec runs a program in a running container, as `docker exec` does.
type Exec struct {
	Ref
	Cmd        []string
	Detach     bool   // the job is done when the program has started
	Input      []byte // for standard input; nil: none was given
	Env        []string
	User       string
	Workdir    string
	Privileged bool
	Tty        bool
	Stream     bool // see Run

	Interactive bool
}

var (
	execKeys = []key[Exec]{
		commandLineKey("the program and its arguments", func(e *Exec) *[]string { return &e.Cmd }),
		streamKey(func(e *Exec) *bool { return &e.Stream }),
	}
	execOptions = []key[Exec]{
		boolKey("Detach", "done when it has started; its output is not shown", func(e *Exec) *bool { return &e.Detach }),
		listKey("Env", "environment variables, as for run", func(e *Exec) *[]string { return &e.Env }, flagval.ParseEnv).as(formPairs),
		boolKey("Interactive", "it gets an empty standard input; `Stdin` says so too", func(e *Exec) *bool { return &e.Interactive }),
		inputKey("Stdin", "what it reads on standard input", func(e *Exec) *[]byte { return &e.Input }, decodeText),
		inputKey("StdinBase64", "the same in base64, for what is not text", func(e *Exec) *[]byte { return &e.Input }, decodeBase64),
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
	case e.Tty && (e.Interactive || e.Input != nil):
		return At("Options", errors.New("only one of Tty, and Interactive or Stdin, can be given: nobody types, and a terminal has no end of input"))
	case e.Detach && (e.Interactive || e.Input != nil):
		return At("Options", errors.New("only one of Detach, and Interactive or Stdin, can be given; a detached program gets no input"))
	}
	return nil
}
