package main

import (
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// onTerminal starts docker-dispatch run with a terminal. change puts the streams onto it.
func (l *lab) onTerminal(t *testing.T, change func(o *ours, tty *os.File), args ...string) (*ours, *pty) {
	t.Helper()
	p := newPTY(t)
	o := &ours{Cmd: program(t, append([]string{"run", "-q", l.queue}, args...)...), t: t, exited: make(chan struct{})}
	o.Env = append(o.Env, "AMQP_URL="+l.amqpURL)
	o.Stdout, o.Stderr = &o.out, &o.err
	// It has the terminal, so that the terminal's Ctrl-C is for it.
	o.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	o.ExtraFiles = []*os.File{p.slave}
	change(o, p.slave)
	if err := o.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		o.Wait()
		close(o.exited)
	}()
	t.Cleanup(func() {
		o.Process.Kill()
		<-o.exited
	})
	return o, p
}

// TestRunOnTerminal: while the job waits, a line on the terminal says so. It vanishes when output begins.
func TestRunOnTerminal(t *testing.T) {
	t.Parallel()
	t.Run("stderr", func(t *testing.T) {
		a := newActor(t)
		o, tty := a.onTerminal(t, func(o *ours, tty *os.File) { o.Stderr = tty }, "busybox")
		m := a.next(a.messages)
		tty.shows("docker-dispatch: queued on " + a.queue)
		a.say(m, event.Started{Job: m.ID, Host: "far\x1b[2J.example"})
		tty.shows("docker-dispatch: started on far?[2J.example")
		a.out(m, "stdout", 0, "out\n")
		tty.shows("")
		a.say(m, event.Started{Job: m.ID, Host: "other.example", Adopted: true})
		a.out(m, "stderr", 0, "err\n")
		tty.shows("err\n")
		a.succeed(m, 4, 4)
		o.expect("out\n", "", 0)
		tty.shows("err\n")
	})
	t.Run("a pull", func(t *testing.T) {
		a := newActor(t)
		o, tty := a.onTerminal(t, func(o *ours, tty *os.File) { o.Stderr = tty }, "busybox")
		m := a.next(a.messages)
		pull := event.Pull{Job: m.ID, Host: "far\x1b[2J.example", Status: event.Pulling, Missing: true}
		a.say(m, pull)
		const missing = "Unable to find image 'busybox:latest' locally\n"
		tty.shows(missing + "busybox:latest: Pulling")
		pull.Progress = event.Progress{Layers: 5, Complete: 3, Bytes: 12_300_000, Total: 45_600_000}
		a.say(m, pull)
		tty.shows(missing + "busybox:latest: Pulling: 3 of 5 layers, 12.3MB of 45.6MB")
		pull.Status = event.Pulled
		a.say(m, pull)
		const pulled = missing + "Status: Downloaded newer image for busybox:latest\n"
		tty.shows(pulled + "docker-dispatch: image pulled on far?[2J.example")
		a.out(m, "stdout", 0, "out\n")
		a.succeed(m, 4, 0)
		o.expect("out\n", "", 0)
		tty.shows(pulled)
	})
	t.Run("all streams", func(t *testing.T) {
		a := newActor(t)
		o, tty := a.onTerminal(t, func(o *ours, tty *os.File) { o.Stdin, o.Stdout, o.Stderr = tty, tty, tty }, "busybox")
		m := a.next(a.messages)
		a.say(m, event.Started{Job: m.ID, Host: "far.example"})
		tty.shows("docker-dispatch: started on far.example")
		a.out(m, "stdout", 0, "no newline")
		a.succeed(m, 10, 0)
		o.end()
		tty.shows("no newline")
	})
	t.Run("no output", func(t *testing.T) {
		a := newActor(t)
		o, tty := a.onTerminal(t, func(o *ours, tty *os.File) { o.Stderr = tty }, "busybox")
		m := a.next(a.messages)
		a.say(m, event.Started{Job: m.ID, Host: "far.example"})
		tty.shows("docker-dispatch: started on far.example")
		a.say(m, event.Result{Job: m.ID, Status: event.Failed, ExitCode: new(3)})
		o.expect("", "", 3)
		tty.shows("")
	})
	t.Run("an error", func(t *testing.T) {
		a := newActor(t)
		o, tty := a.onTerminal(t, func(o *ours, tty *os.File) { o.Stderr = tty }, "busybox")
		m := a.next(a.messages)
		a.say(m, event.Result{Job: m.ID, Status: event.Refused, Reason: event.ReasonPolicy, Error: "forbidden"})
		o.expect("", "", 125)
		tty.shows("docker-dispatch: forbidden\n\nRun 'docker-dispatch run --help' for more information\n")
	})
	t.Run("narrow", func(t *testing.T) {
		a := newActor(t)
		o, tty := a.onTerminal(t, func(o *ours, tty *os.File) {
			if !request(tty, syscall.TIOCSWINSZ, unsafe.Pointer(&[4]uint16{24, 30})) {
				t.Fatal("the terminal has no size")
			}
			o.Stderr = tty
		}, "busybox")
		m := a.next(a.messages)
		a.say(m, event.Started{Job: m.ID, Host: "a\u00e9.example"})
		tty.shows("docker-dispatch: started o...")
		a.succeed(m, 0, 0)
		o.expect("", "", 0)
	})
	t.Run("cut", func(t *testing.T) {
		a := newActor(t)
		proxy, through := a.proxied(t)
		o, tty := a.onTerminal(t, func(o *ours, tty *os.File) {
			o.Stderr = tty
			o.Env = append(o.Env, "AMQP_URL="+through)
		}, "busybox")
		m := a.next(a.messages)
		queued := "docker-dispatch: queued on " + a.queue
		tty.shows(queued)
		proxy.Cut()
		tty.await("queued again", func(s string) bool {
			return s == queued && strings.Contains(tty.written(), "no connection to the broker")
		})
		a.succeed(m, 0, 0)
		o.expect("", "", 0)
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		a := newActor(t)
		o, tty := a.onTerminal(t, func(o *ours, tty *os.File) { o.Stderr = tty }, "busybox")
		m := a.next(a.messages)
		tty.await("queued", func(s string) bool { return strings.Contains(s, "queued") })
		io.WriteString(tty.master, "\x03")
		a.next(a.commands)
		tty.await("stopping", func(s string) bool { return strings.Contains(s, "docker-dispatch: stopping the job") })
		a.say(m, event.Result{Job: m.ID, Status: event.Failed, ExitCode: new(143)})
		o.expect("", "", 143)
	})
	t.Run("input that is typed", func(t *testing.T) {
		a := newActor(t)
		o, tty := a.onTerminal(t, func(o *ours, tty *os.File) { o.Stdin = tty }, "-i", "busybox", "cat")
		io.WriteString(tty.master, "typed\n\x04")
		m := a.next(a.messages)
		if !strings.Contains(string(m.Body), `"Stdin":"typed\n"`) {
			t.Errorf("message %s", m.Body)
		}
		a.succeed(m, 0, 0)
		o.expect("", "", 0)
	})
	t.Run("-it", func(t *testing.T) {
		l := newLab(t)
		o, _ := l.onTerminal(t, func(o *ours, tty *os.File) { o.Stdin = tty }, "-it", "busybox")
		o.expect("", "docker-dispatch: -t and -i together need a terminal, and a queue is none: leave out -t, and what you type is read to its end\n\nRun 'docker-dispatch run --help' for more information\n", 125)
	})
}
