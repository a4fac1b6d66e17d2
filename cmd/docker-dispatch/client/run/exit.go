package run

import (
	"fmt"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// ended prints what a result says besides the output, and returns the exit code. signalled is the code if a signal ended the
// run before it began.
func (c *runClient) ended(r *event.Result, signalled int) int {
	c.warn(r.Warnings)
	code := exitRefused
	if r.ContainerID != "" { // else it was not created: 125, whatever the engine says
		code = engineErrorCode(r.EngineError)
	}
	if r.ExitCode != nil {
		code = *r.ExitCode
	}
	if code != 0 && code&0xff == 0 { // a process's exit code has 8 bits on Unix: this one would be a success
		code = exitRefused
	}
	switch {
	case r.Status == event.Refused && signalled != 0:
		c.say("%s", r.Error)
		return signalled
	case r.Status == event.Refused || r.Status == event.Errored:
		// A failed pull is of a missing image, too.
		failed := r.Reason == event.ReasonNoSuchImage || strings.HasPrefix(r.Error, "pull image ")
		if failed && (c.line.Pull == "" || c.line.Pull == "missing") && !c.line.Quiet {
			c.missing() // if the event did not come
		}
		text := r.Error
		if r.EngineError != "" {
			text = r.EngineError
		}
		return c.fault(text, code)
	case r.Reason == event.ReasonTimeout, r.Reason == event.ReasonOutput:
		c.say("%s", r.Error)
		if code == 0 { // it exited with 0, but too late
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

// engineErrorCode returns docker run's exit code for an engine's error at a start. docker derives it from the text too.
func engineErrorCode(text string) int {
	switch {
	case strings.Contains(text, "no such file or directory"):
		return 127
	case strings.Contains(text, "permission denied"), strings.Contains(text, "is a directory"):
		return 126
	}
	return exitRefused
}
