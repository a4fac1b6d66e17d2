package main

import (
	"strings"
	"testing"
)

// TestLargeMessage: a run with a large message, within --max-message, ends like any other. The engine's
// description of its container is at least as large.
func TestLargeMessage(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := program(t, "--max-message", "8m", "--format", "json", l.dockerHost, "-")
	c.Stdin = strings.NewReader(`{"Dockercmd":"run","Image":"busybox","Cmd":["true"],"Options":{"Remove":true,"Label":["x=` + strings.Repeat("<", 5<<20) + `"]}}`)
	stdout, stderr, code := outcome(t, c)
	if code != 0 || !strings.Contains(stdout, `"Status":"succeeded","ExitCode":0,`) {
		t.Errorf("exit %d\n%s\n%.2000s", code, stdout, stderr)
	}
}
