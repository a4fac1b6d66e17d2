package main

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
)

// underSignals is the program while its stdin stays open.
type underSignals struct {
	*exec.Cmd
	stderr io.Reader
	out    *bufio.Reader
	in     io.WriteCloser
}

// startIgnoring starts the program. A shell sets the signals that the program finds ignored. Signals that
// this process catches have their default in the child. So the test may itself run under nohup or in the background.
func startIgnoring(t *testing.T, ignored string, args ...string) *underSignals {
	t.Helper()
	c := program(t, args...)
	trap := `exec "$@"`
	if ignored != "" {
		trap = `trap "" ` + ignored + `; ` + trap
	}
	c.Args = append([]string{"/bin/sh", "-c", trap, "sh", c.Path}, c.Args[1:]...)
	c.Path = "/bin/sh"
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP, syscall.SIGTERM)
	defer signal.Stop(caught)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(patience, func() { c.Process.Kill() }) // against hanging only
	t.Cleanup(func() {
		end.Stop()
		c.Process.Kill()
		c.Wait()
	})
	return &underSignals{c, stderr, bufio.NewReader(stdout), stdin}
}

// rest reads stderr to its end, and returns it with the exit code.
func (u *underSignals) rest() (string, int) {
	text, _ := io.ReadAll(u.stderr)
	u.Wait()
	return string(text), u.ProcessState.ExitCode()
}

// TestHangup: SIGHUP stops the program in order, as SIGTERM does, unless it was ignored from the start.
func TestHangup(t *testing.T) {
	t.Parallel()
	t.Run("daemon", func(t *testing.T) {
		for _, tt := range []struct {
			ignored, reason string
			signals         []syscall.Signal
		}{
			{"", "hangup", []syscall.Signal{syscall.SIGHUP}},
			{"", "terminated", []syscall.Signal{syscall.SIGTERM}},
			{"HUP", "terminated", []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM}}, // the lower number is delivered first
		} {
			u := startIgnoring(t, tt.ignored, t.TempDir()+"/no.sock", "-")
			first := make([]byte, 1)
			if _, err := io.ReadFull(u.stderr, first); err != nil { // it logs that the engine is not there
				t.Fatal(err)
			}
			for _, s := range tt.signals {
				u.Process.Signal(s)
			}
			text, code := u.rest()
			if code != ui.ExitFailed || !strings.Contains(text, "reason="+tt.reason) {
				t.Errorf("%+v: exit %d, stderr:\n%s", tt, code, text)
			}
		}
	})
	t.Run("check", func(t *testing.T) {
		u := startIgnoring(t, "", "check")
		io.WriteString(u.in, "rubbish\n")
		if _, err := u.out.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		u.Process.Signal(syscall.SIGHUP)
		if text, code := u.rest(); code != ui.ExitFailed || !strings.Contains(text, "error: interrupted") {
			t.Errorf("exit %d, stderr:\n%s", code, text)
		}
	})
}

// TestStatusSignal: SIGUSR1, which asks a daemon for its status, stops no subcommand.
func TestStatusSignal(t *testing.T) {
	t.Parallel()
	t.Run("check", func(t *testing.T) {
		u := startIgnoring(t, "", "check")
		for range 2 {
			io.WriteString(u.in, "rubbish\n")
			if _, err := u.out.ReadString('\n'); err != nil {
				break
			}
			u.Process.Signal(syscall.SIGUSR1)
		}
		u.in.Close()
		if text, code := u.rest(); code != ui.ExitFailed || !strings.Contains(text, "2 messages checked, 2 faults") {
			t.Errorf("exit %d, stderr:\n%s", code, text)
		}
	})
	t.Run("run", func(t *testing.T) {
		broker, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer broker.Close()
		u := startIgnoring(t, "", "run", "-q", "q", "--amqp", "amqp://"+broker.Addr().String(), "busybox")
		c, err := broker.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.ReadFull(c, make([]byte, 8)); err != nil { // AMQP's header
			t.Fatal(err)
		}
		u.Process.Signal(syscall.SIGUSR1)
		u.Process.Signal(syscall.SIGTERM) // the lower number is delivered first
		if text, code := u.rest(); code != 128+int(syscall.SIGTERM) || text != "docker-dispatch: left; nothing was sent\n" {
			t.Errorf("exit %d, stderr:\n%s", code, text)
		}
	})
}
