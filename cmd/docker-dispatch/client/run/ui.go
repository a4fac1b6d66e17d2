package run

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// docker-dispatch run prints errors in the words of docker run, with this program's name.

// A plainError is an error that docker run prints without a prefix, and with exit code 1.
type plainError struct{ message string }

func (e *plainError) Error() string { return e.message }

// refuse prints why there is no run, or the help, and returns the exit code.
func (c *runClient) refuse(err error) int {
	if errors.Is(err, wire.ErrForbidden) {
		err = ui.UsageError(err.Error(), `let the user configure and read ^docker-dispatch\.reply\..*, and write to ^amq\.default$ (rabbitmqctl set_permissions); -d needs the latter only`)
	}
	if errors.Is(err, wire.ErrNoQueue) {
		err = ui.UsageError(err.Error(), "a daemon with --queue "+c.queue+" --declare quorum makes it; check -q, and --amqp or $AMQP_URL")
	}
	usageLine, _, _ := strings.Cut(Usage, "\n")
	const seeHelp = " 'docker-dispatch run --help' for more information"
	if _, ok := errors.AsType[*ui.Hinted](err); ok || c.hasHint(err) {
		ui.Fail(c.stderr, err)
		return exitRefused
	}
	if _, ok := errors.AsType[*leftError](err); ok {
		c.say("%v", err)
		return exitRefused
	}
	if e, ok := errors.AsType[*plainError](err); ok {
		fmt.Fprintln(c.stderr, e.message)
		return ui.ExitFailed
	}
	if e, ok := errors.AsType[*message.FlagError](err); ok {
		if e.Message == "flag needs an argument: 'h' in -h" { // docker's --hostname; without a value it means help
			err = message.ErrHelp
		} else {
			fmt.Fprintf(c.stderr, "%s\n\n%s\n\nRun%s\n", ui.Printable(e.Message), usageLine, seeHelp)
			return exitRefused
		}
	}
	switch {
	case errors.Is(err, message.ErrHelp):
		fmt.Fprint(c.stdout, Usage)
		return ui.ExitClean
	case errors.Is(err, message.ErrNoImage):
		fmt.Fprintf(c.stderr, "docker-dispatch: 'docker-dispatch run' requires at least 1 argument\n\n%s\n\nSee%s\n", usageLine, seeHelp)
		return ui.ExitFailed
	}
	return c.fault(err.Error(), exitRefused)
}

// hasHint reports whether err is a broker's error for which fail has a hint.
func (c *runClient) hasHint(err error) bool {
	for _, e := range []error{wire.ErrLogin, wire.ErrVhost, wire.ErrNoQueue, wire.ErrForbidden, wire.ErrStream, wire.ErrNotAMQP, wire.ErrTLS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// unreachable adds the broker's address and a hint to err, unless fail has a hint for it.
func (c *runClient) unreachable(err error) error {
	if c.hasHint(err) {
		return err
	}
	return ui.UsageError(fmt.Sprintf("the broker %s cannot be reached: %v", wire.Redact(c.url), err),
		"--amqp or $AMQP_URL names the broker, amqp://user:password@host:5672/vhost")
}

// fault prints an error as docker run does, and returns the exit code.
func (c *runClient) fault(text string, code int) int {
	fmt.Fprintf(c.stderr, "docker-dispatch: %s\n\nRun 'docker-dispatch run --help' for more information\n", strings.TrimSpace(text))
	return code
}

// warn prints the engine's warnings as docker does. It prints them once, although events can be redelivered.
func (c *runClient) warn(warnings []string) {
	if c.warned {
		return
	}
	for _, w := range warnings {
		c.warned = true
		c.waits.End()
		fmt.Fprintf(c.stderr, "WARNING: %s\n", ui.Printable(w))
	}
}

// say prints a line for a case that docker run does not have.
func (c *runClient) say(format string, args ...any) {
	fmt.Fprintf(c.stderr, "docker-dispatch: %s\n", ui.PlainLine(fmt.Sprintf(format, args...)))
}

// Usage is what -h prints.
//
//go:embed usage.txt
var Usage string
