package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestHealth: a daemon is healthy while it takes messages from its queue, and each reason why not is said.
func TestHealth(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	check := func(pid int) (string, int) {
		t.Helper()
		stdout, stderr, code := outcome(t, program(t, "health", fmt.Sprint(pid)))
		return stdout + stderr, code
	}
	p := l.start()
	p.awaitLog("taking messages")
	pid := p.cmd.Process.Pid
	if out, code := check(pid); code != 0 || out != "healthy\n" {
		t.Errorf("exit %d: %s", code, out)
	}
	l.broker.Delete(l.queue)
	if out, code := check(pid); code != 1 || !strings.Contains(out, "not healthy: ") || !strings.Contains(out, l.queue) {
		t.Errorf("without a queue: exit %d: %s", code, out)
	}
	l.broker.Declare(l.queue, "classic")
	p.stop()
	if out, code := check(pid); code != 1 || !strings.Contains(out, "not healthy: ") {
		t.Errorf("without the process: exit %d: %s", code, out)
	}
	l.broker.Declare(l.queue+".env", "classic")
	t.Cleanup(func() { l.deleteQueues(".env", ".env.dead", ".env.control") })
	by := program(t) // all from the environment
	by.Env = append(by.Env, "DOCKER_DISPATCH_QUEUE="+l.queue+".env", "DOCKER_HOST="+l.dockerHost, "AMQP_URL="+l.amqpURL)
	by.Env = append(by.Env, "DOCKER_DISPATCH_DRAIN=1m")
	by.Args = append(by.Args, "--ahead", "7")
	p = l.startExactly(by)
	p.awaitLog("taking messages")
	shown, stderr, code := outcome(t, program(t, "health", "--print-config", fmt.Sprint(by.Process.Pid)))
	for _, row := range []string{`--queue +` + l.queue + `[.]env +DOCKER_DISPATCH_QUEUE`, `--drain +1m0?s? +DOCKER_DISPATCH_DRAIN`, `--ahead +7 +command line`, `amqpAddr +amqp://guest:xxxxx@\S+ +AMQP_URL`} {
		if !regexp.MustCompile(row).MatchString(shown) {
			t.Errorf("no %s: exit %d: %s%s", row, code, shown, stderr)
		}
	}
	if out, code := check(by.Process.Pid); code != 0 || out != "healthy\n" {
		t.Errorf("a daemon without arguments: exit %d: %s", code, out)
	}
	p.stop()
	away := l.start("=/nowhere/docker.sock", "="+l.amqpURL)
	away.awaitLog("engine does not answer")
	if out, code := check(away.cmd.Process.Pid); code != 1 || !strings.Contains(out, "cannot reach the docker engine at unix:///nowhere/docker.sock") {
		t.Errorf("without an engine: exit %d: %s", code, out)
	}
	other := exec.Command("sleep", "1000")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		other.Process.Kill()
		other.Wait()
	})
	if out, code := check(other.Process.Pid); code != 1 || !strings.Contains(out, fmt.Sprintf("process %d is no docker-dispatch", other.Process.Pid)) {
		t.Errorf("another program: exit %d: %s", code, out)
	}
	if _, stderr, code := outcome(t, program(t, "health", "--print-config", fmt.Sprint(other.Process.Pid))); code != 1 || !strings.Contains(stderr, "is no docker-dispatch") {
		t.Errorf("settings of another program: exit %d: %s", code, stderr)
	}
	for _, args := range [][]string{{"x"}, {"-1"}, {"1", "2"}, {"1", "--print-config"}} {
		if _, stderr, code := outcome(t, program(t, append([]string{"health"}, args...)...)); code != 2 || !strings.Contains(stderr, "hint: docker-dispatch health -h") {
			t.Errorf("%q: exit %d: %s", args, code, stderr)
		}
	}
}

// TestHealthInterrupted: Ctrl-C ends it at once, also if the engine does not answer.
func TestHealthInterrupted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	asked := func() {
		t.Helper()
		c, err := silent.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	p := l.start("="+silent.Addr().String(), "="+l.amqpURL)
	asked()
	p.cmd.Process.Signal(syscall.SIGSTOP) // else it asks again
	t.Cleanup(func() { p.cmd.Process.Signal(syscall.SIGCONT) })
	c := program(t, "health", fmt.Sprint(p.cmd.Process.Pid))
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	asked()
	c.Process.Signal(os.Interrupt)
	if exit, ok := errors.AsType[*exec.ExitError](c.Wait()); !ok || exit.Sys().(syscall.WaitStatus).Signal() != os.Interrupt {
		t.Errorf("after Ctrl-C: %v", exit)
	}
}
