package run

import (
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

const usageLine = "Usage:  docker-dispatch run [OPTIONS] IMAGE [COMMAND] [ARG...]"

// refuse prints why there is no run, or the help, and returns the exit code.
func (c *runClient) refuse(err error) int {
	if errors.Is(err, wire.ErrForbidden) {
		err = ui.UsageError(err.Error(), `let the user configure and read ^docker-dispatch\.reply\..*, and write to ^amq\.default$ (rabbitmqctl set_permissions); -d needs the latter only`)
	}
	if errors.Is(err, wire.ErrNoQueue) {
		err = ui.UsageError(err.Error(), "a daemon with --queue "+c.queue+" --declare quorum makes it; check -q, and --amqp or $AMQP_URL")
	}
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
const Usage = usageLine + `

Runs a container on the host whose daemon takes messages from a queue. It shows here
what docker run would show there: its output, byte for byte, and its exit code.

OPTIONS are those of docker run, in any order before IMAGE, and these:
  -q, --queue NAME         the queue of the daemon (required)
      --amqp URL           the broker, amqp://user:password@host:5672/vhost
                           (default: $AMQP_URL, else amqp://guest:guest@localhost:5672/)
      --amqp-password-file FILE  the password of the user in that address
      --timeout TIME       wait so long for the result, such as 10m; the job goes on then
      --run-timeout TIME   the longest that the container may run: then it is stopped
      --retry JSON         run again what has failed: '{"Max": 3, "Delay": "30s"}'
      --control NAME       the daemon's queue for commands (default: QUEUE.control);
                           none has signals end this program alone
      --max-message SIZE   the largest message to send (default 1m); the daemon's
                           --max-message must be no less
      --help               print this; so does -h behind which nothing stands

DOCKER_DISPATCH_QUEUE is --queue, and so on: docker-dispatch help options has the rule.
With -i standard input is read to its end, and travels in the message. -t and -i do
not go together: nobody types at the other end. --env-file, --label-file, -e NAME and
a seccomp profile are read here; paths of -v and --mount are the host's. -d prints the
job's id once the broker has the message. --cidfile gets the container's id; with -d
the file is not made. A pull is shown on stderr, except with -d or --quiet.

Ctrl-C, SIGTERM and SIGHUP stop the container, or cancel the job if it has not begun. A
second one ends this program alone, as the first does with --sig-proxy=false.

Exit codes: the container's; 125 if it could not be run, or its result is not known;
126 and 127 if its command could not be executed or found; 130, 143 or 129 if a signal
ended the wait; 1 for a wrong command line, as docker.

Example: count the words of a file on the host behind the queue jobs
  docker-dispatch run -q jobs --amqp amqp://broker.example -i --rm busybox wc -w <text
`
