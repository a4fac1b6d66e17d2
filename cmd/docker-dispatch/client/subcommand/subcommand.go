// Package subcommand is what the subcommands for the publisher's side of the queue share: their arguments and streams, the
// connection to the broker, and how a signal ends them.
//
// Begin at Invocation.
package subcommand

import (
	"cmp"
	"fmt"
	"io"
	"os"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// An Invocation is a subcommand's part of its process: the arguments after its name, environment, streams, signals.
type Invocation struct {
	Name           string
	Args           []string
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Signals        <-chan os.Signal
	Options        *ui.Options // to which the subcommand adds its own
}

// An ExitCode is the end of a subcommand that has printed what there is to say.
type ExitCode int

func (e ExitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// FurtherQueue returns the name of a further queue from its option. An empty option means the usual name. The option "none"
// means no queue, which is "".
func FurtherQueue(given, usual string) string {
	if given == "none" {
		return ""
	}
	return cmp.Or(given, usual)
}
