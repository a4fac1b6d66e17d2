package main

import (
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// ended says what a result tells beside the output, and returns the exit code. signalled is that of a run that a signal
// ended before it had begun.
func (c *runClient) ended(r *event.Result, signalled int) int {
	c.warn(r.Warnings)
	code := exitRefused
	if r.ContainerID != "" { // else it was not created, which is 125 whatever the engine says
		code = engineErrorCode(r.EngineError)
	}
	if r.ExitCode != nil {
		code = *r.ExitCode
	}
	switch {
	case r.Status == event.Refused && signalled != 0:
		c.say("%s", r.Error)
		return signalled
	case r.Status == event.Refused || r.Status == event.Errored:
		missing := r.Reason == event.ReasonNoSuchImage || strings.HasPrefix(r.Error, "pull image ") // a pull that fails is of a missing one
		if missing && (c.line.Pull == "" || c.line.Pull == "missing") && !c.line.Quiet {
			fmt.Fprintf(c.stderr, "Unable to find image '%s' locally\n", c.line.FullImage())
		}
		text := r.Error
		if r.EngineError != "" {
			text = r.EngineError
		}
		return c.fault(text, code)
	case r.Reason == event.ReasonTimeout:
		c.say("%s", r.Error)
		if code == 0 { // it ended well, but too late
			code = exitRefused
		}
	}
	missing := c.answer.lost + c.answer.missing(r)
	if missing > 0 || r.Incomplete {
		text := "output is missing"
		if missing > 0 {
			text = fmt.Sprintf("%d bytes of the output are missing", missing)
		}
		c.say("%s; the container has exited with code %d", text, code)
		if code == 0 {
			code = exitRefused
		}
	}
	return code
}

// engineErrorCode is docker run's exit code for what the engine says of a start, which docker takes from the words.
func engineErrorCode(text string) int {
	switch {
	case strings.Contains(text, "no such file or directory"):
		return 127
	case strings.Contains(text, "permission denied"), strings.Contains(text, "is a directory"):
		return 126
	}
	return exitRefused
}
