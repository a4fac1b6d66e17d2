package client

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/dead"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/hosts"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/ps"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/run"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client/subcommand"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// subcommands are the commands for the publisher's side of the queue.
var subcommands = map[string]struct {
	help string
	do   func(*subcommand.Invocation) error
}{
	"run":    {run.Usage, run.Do},
	"send":   {sendUsage, send},
	"check":  {checkUsage, check},
	"dead":   {dead.Usage, dead.Do},
	"ps":     {ps.Usage, ps.Do},
	"hosts":  {hosts.Usage, hosts.Do},
	"policy": {policyUsage, explain},
}

// LastAcks bounds how long a stop waits for the broker to take the last acks.
const LastAcks = subcommand.LastAcks

// Names are the names of the subcommands, sorted.
func Names() []string { return slices.Sorted(maps.Keys(subcommands)) }

// Has reports whether there is a subcommand of that name.
func Has(name string) bool { return subcommands[name].do != nil }

// Run carries out a subcommand with the arguments after its name, and returns the exit code.
func Run(name string, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer, signals <-chan os.Signal) int {
	p := &subcommand.Invocation{Name: name, Args: args, Getenv: getenv, Stdin: stdin, Stdout: stdout, Stderr: stderr, Signals: signals, Options: newOptions(name)}
	err := subcommands[name].do(p)
	if code, ok := errors.AsType[subcommand.ExitCode](err); ok {
		return int(code)
	}
	switch {
	case err == nil:
		return ui.ExitClean
	case errors.Is(err, ui.ErrHelp):
		fmt.Fprint(stdout, subcommands[name].help)
		return ui.ExitClean
	}
	return ui.Fail(stderr, p.Options.Blame(err))
}

// Options returns the options of a subcommand, except those of docker run. The subcommand makes them before it prints its help.
func Options(name string) *ui.Options {
	p := &subcommand.Invocation{Name: name, Args: []string{"--help"}, Getenv: func(string) string { return "" }, Stdout: io.Discard, Stderr: io.Discard, Options: newOptions(name)}
	subcommands[name].do(p) // its error is that help was asked for
	return p.Options
}

func newOptions(name string) *ui.Options { return ui.NewOptions("docker-dispatch " + name) }
