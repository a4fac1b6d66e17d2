package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// ours is docker-dispatch run in a process of its own.
type ours struct {
	*exec.Cmd
	t        *testing.T
	out, err lockedBuffer
	exited   chan struct{}
}

// lockedBuffer can be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// run starts docker-dispatch run on the lab's queue. An argument that begins with = is the broker's address.
func (l *lab) run(t *testing.T, stdin io.Reader, args ...string) *ours {
	t.Helper()
	return l.runTo(t, nil, stdin, args...)
}

// runTo is run with another standard output, where there is one.
func (l *lab) runTo(t *testing.T, stdout io.Writer, stdin io.Reader, args ...string) *ours {
	t.Helper()
	url := l.amqpURL
	if len(args) > 0 && strings.HasPrefix(args[0], "=") {
		url, args = args[0][1:], args[1:]
	}
	o := &ours{Cmd: program(t, append([]string{"run", "-q", l.queue}, args...)...), t: t, exited: make(chan struct{})}
	o.Env = append(o.Env, "AMQP_URL="+url)
	o.Stdin, o.Stdout, o.Stderr = stdin, &o.out, &o.err
	if stdout != nil {
		o.Stdout = stdout
	}
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
		if t.Failed() {
			t.Logf("docker-dispatch %q: stdout %.500q, stderr %.2000q", args, o.out.String(), o.err.String())
		}
	})
	return o
}

// End waits for the end.
func (o *ours) end() (stdout, stderr string, code int) {
	o.t.Helper()
	select {
	case <-o.exited:
	case <-time.After(patience):
		o.t.Fatalf("docker-dispatch run does not end; stdout %.200q, stderr %.1000q", o.out.String(), o.err.String())
	}
	return o.out.String(), o.err.String(), o.ProcessState.ExitCode()
}

// grows waits for more output, or for the end: on a slow machine all may have come at once.
func (o *ours) grows() {
	o.t.Helper()
	seen := len(o.out.String())
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for len(o.out.String()) == seen {
		select {
		case <-o.exited:
			return
		case <-deadline:
			o.t.Fatal("no more output comes")
		case <-tick.C:
		}
	}
}

// saidSlowly is what a run says where a busy machine lets it wait.
var saidSlowly = regexp.MustCompile("docker-dispatch: (no daemon has answered yet;|waiting for the broker to take) .*\n")

// expect waits for the end, and compares.
func (o *ours) expect(stdout, stderr string, code int) {
	o.t.Helper()
	out, errs, c := o.end()
	if !saidSlowly.MatchString(stderr) {
		errs = saidSlowly.ReplaceAllString(errs, "")
	}
	if out != stdout || errs != stderr || c != code {
		o.t.Errorf("exit %d, stdout %.500q, stderr %.1000q\nwant %d, %.500q, %.1000q", c, out, errs, code, stdout, stderr)
	}
}

// actor is a daemon that does what the test says.
type actor struct {
	*lab
	client   *client.Client
	messages <-chan client.Received
	commands <-chan client.Received
}

func newActor(t *testing.T) *actor {
	a := &actor{lab: newLab(t)}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	var err error
	if a.client, err = client.Connect(ctx, client.Config{URL: a.amqpURL}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.client.Close(ctx) })
	if err := a.client.DeclareReplies(ctx, a.queue+".control", time.Minute); err != nil {
		t.Fatal(err)
	}
	if a.messages, err = a.client.Consume(ctx, a.queue, 10); err != nil {
		t.Fatal(err)
	}
	if a.commands, err = a.client.Consume(ctx, a.queue+".control", 10); err != nil {
		t.Fatal(err)
	}
	return a
}

// next is the next message of a queue, acked.
func (a *actor) next(from <-chan client.Received) client.Message {
	a.t.Helper()
	select {
	case m := <-from:
		if err := m.Ack(); err != nil {
			a.t.Fatal(err)
		}
		return m.Message
	case <-time.After(patience):
		a.t.Fatal("no message came")
	}
	panic("unreachable")
}

// say publishes an event as an answer to a message.
func (a *actor) say(to client.Message, event interface{ JSON() []byte }) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.client.Publish(ctx, to.ReplyTo, client.Message{CorrelationID: to.ID, Body: event.JSON()}); err != nil {
		a.t.Fatal(err)
	}
}

func (a *actor) out(to client.Message, stream string, offset int, text string) {
	a.t.Helper()
	a.say(to, event.Output{Job: to.ID, Stream: stream, Offset: int64(offset), Data: []byte(text)})
}

func (a *actor) succeed(to client.Message, stdout, stderr int) {
	a.t.Helper()
	a.say(to, event.Result{Job: to.ID, Status: event.Succeeded, ExitCode: new(0), StdoutBytes: int64(stdout), StderrBytes: int64(stderr)})
}

// gone waits until the queue of the answers does not exist.
func (a *actor) gone(to client.Message) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if n, _, err := a.client.Ready(ctx, to.ReplyTo); err == nil {
		a.t.Errorf("the queue of the answers is left behind, with %d messages", n)
	}
}

// TestRunAnswers: what docker-dispatch run makes of a daemon's answers.
func TestRunAnswers(t *testing.T) {
	t.Run("the message", func(t *testing.T) {
		a := newActor(t)
		o := a.run(t, strings.NewReader("in"), "-i", "--rm", "busybox", "cat", "-q")
		m := a.next(a.messages)
		want := `{"Dockercmd":"run","Image":"busybox","Cmd":["cat","-q"],"Options":{"Attach":["STDIN","STDOUT","STDERR"],"Interactive":true,"Remove":true,"Stdin":"in"},"Stream":true}` + "\n"
		if string(m.Body) != want || len(m.ID) != 32 || !strings.HasPrefix(m.ReplyTo, "docker-dispatch.reply.") || m.ContentType != "application/json" {
			t.Errorf("message %+v\n%s", m, m.Body)
		}
		a.succeed(m, 0, 0)
		o.expect("", "", 0)
		a.gone(m)
	})
	t.Run("twice and early", func(t *testing.T) {
		a := newActor(t)
		o := a.run(t, nil, "busybox")
		m := a.next(a.messages)
		a.say(m, event.Started{Job: m.ID})
		a.out(m, "stdout", 0, "a\xff\x00")
		a.out(m, "stderr", 0, "E")
		a.out(m, "stdout", 5, "f")
		a.say(m, event.Started{Job: m.ID, Adopted: true})
		a.out(m, "stdout", 0, "a\xff\x00d")
		a.out(m, "stderr", 0, "ER")
		a.out(m, "stdout", 4, "ef")
		a.succeed(m, 6, 2)
		o.expect("a\xff\x00def", "ER", 0)
	})
	t.Run("output that is missing", func(t *testing.T) {
		a := newActor(t)
		for _, tt := range []struct {
			result event.Result
			stderr string
			code   int
		}{
			{event.Result{StdoutBytes: 5, ExitCode: new(0), Status: event.Succeeded}, "docker-dispatch: 4 bytes of the output are missing; the container has exited with code 0\n", 125},
			{event.Result{StdoutBytes: 5, ExitCode: new(3), Status: event.Failed}, "docker-dispatch: 4 bytes of the output are missing; the container has exited with code 3\n", 3},
			{event.Result{StdoutBytes: 1, ExitCode: new(0), Status: event.Succeeded, Incomplete: true}, "docker-dispatch: output is missing; the container has exited with code 0\n", 125},
		} {
			o := a.run(t, nil, "busybox")
			m := a.next(a.messages)
			a.out(m, "stdout", 0, "a")
			a.out(m, "stdout", 4, "e")
			tt.result.Job = m.ID
			a.say(m, tt.result)
			o.expect("a", tt.stderr, tt.code)
		}
	})
	t.Run("another attempt", func(t *testing.T) {
		a := newActor(t)
		o := a.run(t, nil, "--retry", `{"Max":1}`, "busybox")
		m := a.next(a.messages)
		for n := 1; n <= 2; n++ {
			text := fmt.Sprintf("attempt %d\n", n)
			a.say(m, event.Output{Job: m.ID, Attempt: n, Stream: "stdout", Data: []byte(text)})
			a.say(m, event.Result{Job: m.ID, Attempt: n, Retrying: n < 2, Status: event.Failed, Reason: event.ReasonExit, ExitCode: new(n), StdoutBytes: int64(len(text))})
		}
		o.expect("attempt 1\nattempt 2\n", "", 2)
	})
	t.Run("refusals", func(t *testing.T) {
		a := newActor(t)
		const help = "\n\nRun 'docker-dispatch run --help' for more information\n"
		for _, tt := range []struct {
			args   []string
			result event.Result
			stderr string
			code   int
		}{
			{nil, event.Result{Status: event.Refused, Reason: event.ReasonPolicy, Error: "no"}, "docker-dispatch: no" + help, 125},
			{nil, event.Result{Status: event.Errored, Reason: event.ReasonEngine, Error: "x", EngineError: "Error response from daemon: Why"}, "docker-dispatch: Error response from daemon: Why" + help, 125},
			{nil, event.Result{Status: event.Errored, Reason: event.ReasonNoSuchImage, Error: "x", EngineError: "Error response from daemon: Why"},
				"Unable to find image 'busybox:latest' locally\ndocker-dispatch: Error response from daemon: Why" + help, 125},
			{[]string{"--quiet"}, event.Result{Status: event.Errored, Reason: event.ReasonNoSuchImage, EngineError: "Error response from daemon: Why"}, "docker-dispatch: Error response from daemon: Why" + help, 125},
			{[]string{"--pull", "never"}, event.Result{Status: event.Errored, Reason: event.ReasonNoSuchImage, EngineError: "Error response from daemon: Why"}, "docker-dispatch: Error response from daemon: Why" + help, 125},
			{nil, event.Result{Status: event.Errored, Reason: event.ReasonCommandNotFound, ExitCode: new(127), EngineError: "Error response from daemon: Why"}, "docker-dispatch: Error response from daemon: Why" + help, 127},
			{nil, event.Result{ContainerID: "id", Status: event.Errored, Reason: event.ReasonEngine, EngineError: "Error response from daemon: x: no such file or directory"}, "docker-dispatch: Error response from daemon: x: no such file or directory" + help, 127},
			{nil, event.Result{ContainerID: "id", Status: event.Errored, Reason: event.ReasonEngine, EngineError: "Error response from daemon: x: permission denied"}, "docker-dispatch: Error response from daemon: x: permission denied" + help, 126},
			{nil, event.Result{Status: event.Errored, Reason: event.ReasonEngine, EngineError: "Error response from daemon: x: permission denied"}, "docker-dispatch: Error response from daemon: x: permission denied" + help, 125},
			{nil, event.Result{Status: event.Failed, Reason: event.ReasonTimeout, ExitCode: new(137), Error: "too long"}, "docker-dispatch: too long\n", 137},
			{nil, event.Result{Status: event.Failed, Reason: event.ReasonTimeout, ExitCode: new(0), Error: "too long"}, "docker-dispatch: too long\n", 125},
			{nil, event.Result{Status: event.Failed, Reason: event.ReasonKilled, ExitCode: new(137), Error: "killed"}, "", 137},
		} {
			o := a.run(t, nil, append(tt.args, "busybox")...)
			m := a.next(a.messages)
			tt.result.Job = m.ID
			a.say(m, tt.result)
			o.expect("", tt.stderr, tt.code)
		}
	})
	t.Run("-d", func(t *testing.T) {
		a := newActor(t)
		o := a.run(t, nil, "-d", "busybox")
		m := a.next(a.messages)
		if m.ReplyTo != "" || strings.Contains(string(m.Body), "Stream") {
			t.Errorf("%+v %s", m, m.Body)
		}
		o.expect(m.ID+"\n", "", 0)
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		o = a.runTo(t, full, nil, "-d", "busybox")
		m = a.next(a.messages)
		o.expect("", "docker-dispatch: the output cannot be written: write /dev/stdout: no space left on device; the job "+m.ID+" goes on\n", 125)
	})
	t.Run("--cidfile", func(t *testing.T) {
		a := newActor(t)
		file := filepath.Join(t.TempDir(), "cid")
		o := a.run(t, nil, "--cidfile", file, "busybox")
		m := a.next(a.messages)
		a.say(m, event.Started{Job: m.ID, ContainerID: "c0ffee"})
		a.succeed(m, 0, 0)
		o.expect("", "", 0)
		if id, err := os.ReadFile(file); string(id) != "c0ffee" {
			t.Errorf("%q, %v", id, err)
		}
		a.run(t, nil, "--cidfile", file, "busybox").expect("", "docker-dispatch: container ID file found, make sure the other container isn't running or delete "+file+"\n\nRun 'docker-dispatch run --help' for more information\n", 125)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		o = a.run(t, nil, "--cidfile", file, "busybox")
		m = a.next(a.messages)
		if id, err := os.ReadFile(file); len(id) > 0 || err != nil {
			t.Errorf("before it has started: %q, %v", id, err)
		}
		a.say(m, event.Result{Job: m.ID, Status: event.Errored, Error: "no"})
		o.end()
		if _, err := os.Stat(file); err == nil {
			t.Error("a file without an id is left behind")
		}
		file = filepath.Join(file, "in", "no", "folder")
		a.run(t, nil, "--cidfile", file, "busybox").expect("", "docker-dispatch: failed to create the container ID file: open "+file+": no such file or directory\n\nRun 'docker-dispatch run --help' for more information\n", 125)
		if n := a.broker.Ready(a.queue); n != 0 {
			t.Errorf("%d messages were sent", n)
		}
	})
}

// TestRunLeaves: signals stop the job, then leave it; so does the time.
func TestRunLeaves(t *testing.T) {
	t.Parallel()
	stopped := func(t *testing.T, a *actor, m client.Message) {
		t.Helper()
		var got struct{ Dockercmd, Job string }
		if err := json.Unmarshal(a.next(a.commands).Body, &got); err != nil || got.Dockercmd != "stop" || got.Job != m.ID {
			t.Errorf("command %+v, %v", got, err)
		}
	}
	t.Run("stopped", func(t *testing.T) {
		a := newActor(t)
		o := a.run(t, nil, "busybox")
		m := a.next(a.messages)
		o.Process.Signal(syscall.SIGTERM)
		stopped(t, a, m)
		a.out(m, "stdout", 0, "bye")
		a.say(m, event.Result{Job: m.ID, Status: event.Failed, Reason: event.ReasonExit, ExitCode: new(9), StdoutBytes: 3})
		o.expect("bye", "", 9)
	})
	t.Run("taken back", func(t *testing.T) {
		a := newActor(t)
		o := a.run(t, nil, "busybox")
		m := a.next(a.messages)
		o.Process.Signal(os.Interrupt)
		stopped(t, a, m)
		a.say(m, event.Result{Job: m.ID, Status: event.Refused, Reason: "cancelled", Error: "cancelled before it began"})
		o.expect("", "docker-dispatch: cancelled before it began\n", 130)
	})
	t.Run("left", func(t *testing.T) {
		a := newActor(t)
		o := a.run(t, nil, "busybox")
		m := a.next(a.messages)
		o.Process.Signal(os.Interrupt)
		stopped(t, a, m)
		time.Sleep(2 * ui.SameSignal) // signals that are nearer are one
		o.Process.Signal(os.Interrupt)
		o.expect("", "docker-dispatch: left; the job "+m.ID+" was told to stop\n", 130)
		a.gone(m)
	})
	t.Run("--sig-proxy=false", func(t *testing.T) {
		a := newActor(t)
		o := a.run(t, nil, "--sig-proxy=false", "busybox")
		m := a.next(a.messages)
		a.out(m, "stdout", 0, "x")
		a.eventually("output", func() bool { return o.out.String() != "" })
		o.Process.Signal(os.Interrupt)
		o.expect("x", "docker-dispatch: left; the job "+m.ID+" goes on\n", 130)
	})
	t.Run("--timeout", func(t *testing.T) {
		a := newActor(t)
		o := a.run(t, nil, "--timeout", "10s", "busybox")
		m := a.next(a.messages)
		o.expect("", "docker-dispatch: no result within 10s; the job "+m.ID+" goes on\n", 125)
		a.gone(m)
	})
	t.Run("output that nobody reads", func(t *testing.T) {
		a := newActor(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		o := a.runTo(t, w, nil, "busybox")
		w.Close()
		m := a.next(a.messages)
		a.out(m, "stdout", 0, "x")
		o.expect("", "docker-dispatch: the output cannot be written: write /dev/stdout: broken pipe; the job "+m.ID+" goes on\n", 125)
		a.gone(m)
	})
	t.Run("output that waits for its reader", func(t *testing.T) {
		a := newActor(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		o := a.runTo(t, w, nil, "busybox")
		w.Close()
		m := a.next(a.messages)
		a.out(m, "stdout", 0, strings.Repeat("x", 100_000))         // more than a pipe holds
		if _, err := io.ReadFull(r, make([]byte, 10)); err != nil { // it is being written
			t.Fatal(err)
		}
		o.Process.Signal(os.Interrupt)
		stopped(t, a, m)
		time.Sleep(2 * ui.SameSignal) // signals that are nearer are one
		o.Process.Signal(os.Interrupt)
		o.expect("", "docker-dispatch: left; the job "+m.ID+" was told to stop\n", 130)
		a.gone(m)
	})
	t.Run("answers that are gone", func(t *testing.T) {
		a := newActor(t)
		o := a.run(t, nil, "busybox")
		m := a.next(a.messages)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := a.client.DeleteQueue(ctx, m.ReplyTo); err != nil {
			t.Fatal(err)
		}
		o.expect("", "docker-dispatch: the queue of the answers is gone; the job "+m.ID+" may go on\n", 125)
	})
	t.Run("time that is over before all is read", func(t *testing.T) {
		l := newLab(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		l.run(t, r, "-i", "--timeout", "200ms", "busybox").expect("", "docker-dispatch: no result within 200ms; nothing was sent\n", 125)
	})
	t.Run("while stdin is open", func(t *testing.T) {
		a := newActor(t)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		o := a.run(t, r, "-i", "busybox")
		// More than a pipe holds: when all is written it reads, and so it has its signals by then. One that came
		// before would be lost where SIGINT was ignored at the start, as in the background of a shell.
		if _, err := w.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		o.Process.Signal(os.Interrupt)
		o.expect("", "docker-dispatch: left; nothing was sent\n", 130)
	})
}

// TestRunReconnects: the connection is cut wherever it can be, and nothing is missing or comes twice.
func TestRunReconnects(t *testing.T) {
	a := newActor(t)
	proxy, through := a.proxied(t)
	o := a.run(t, nil, "="+through, "busybox")
	m := a.next(a.messages)
	var want strings.Builder
	for i := range 300 {
		text := fmt.Sprintf("line %d\n", i)
		a.out(m, "stdout", want.Len(), text)
		want.WriteString(text)
		switch i {
		case 50, 100:
			proxy.Cut()
		case 150:
			proxy.CutAfter(100, brokertest.ToClient)
		case 200: // the cut takes acks along
			proxy.CutAfter(20, brokertest.ToServer)
		}
	}
	a.succeed(m, want.Len(), 0)
	o.expect(want.String(), "", 0)
	a.gone(m)
}

// TestRunRefuses: what is wrong before anything is sent.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const help = "\n\nRun 'docker-dispatch run --help' for more information\n"
	const use = "\n\nUsage:  docker-dispatch run [OPTIONS] IMAGE [COMMAND] [ARG...]" + help
	for _, tt := range []struct {
		args   string
		stdin  string
		stderr string
		code   int
	}{
		{"--foo busybox", "", "unknown flag: --foo" + use, 125},
		{"-it busybox", "", "the input device is not a TTY\n", 1},
		{"-d -a stdout busybox", "", "conflicting options: cannot specify both --attach and --detach\n", 1},
		{"--rm", "", "docker-dispatch: 'docker-dispatch run' requires at least 1 argument" + strings.Replace(use, "\n\nRun", "\n\nSee", 1), 1},
		{"-i --max-message 1k busybox", strings.Repeat("x", 2000), "docker-dispatch: standard input is too long for a message; at most 1024 are taken (--max-message, here and at the daemon): put large input into a volume, or where the container can fetch it" + help, 125},
		{"-i --max-message 1k busybox", strings.Repeat("x", 1000), "docker-dispatch: the message has 1131 bytes with what standard input holds; at most 1024 are taken (--max-message, here and at the daemon): put large input into a volume, or where the container can fetch it" + help, 125},
		{"-q '' busybox", "", "docker-dispatch: error: no queue given\nhint: name the queue that the daemon takes messages from: docker-dispatch run -q NAME ...\n", 125},
		{"-q nosuch busybox", "", "docker-dispatch: error: no such queue: \"nosuch\"\nhint: a daemon with --queue nosuch --declare quorum makes it; check -q, and --amqp or $AMQP_URL\n", 125},
		{"--amqp http://x busybox", "", "docker-dispatch: error: ", 125},
		{"--amqp amqp://u:secret@127.0.0.1:1/ busybox", "", "docker-dispatch: error: the broker amqp://u:xxxxx@127.0.0.1:1/ cannot be reached: ", 125},
	} {
		var args []string
		for _, a := range strings.Fields(tt.args) {
			args = append(args, strings.ReplaceAll(a, "''", ""))
		}
		out, errs, code := l.run(t, strings.NewReader(tt.stdin), args...).end()
		if out != "" || code != tt.code || !strings.HasPrefix(errs, tt.stderr) || strings.Contains(errs, "secret") {
			t.Errorf("%s: exit %d, stdout %q, stderr %q\nwant %d, %q", tt.args, code, out, errs, tt.code, tt.stderr)
		}
	}
	runUsage, _, _ := call("", nil, "run", "-h")
	for _, args := range [][]string{{"-h"}, {"--help"}, {"--rm", "--help", "busybox"}} {
		l.run(t, nil, args...).expect(runUsage, "", 0)
	}
	if n := l.broker.Ready(l.queue); n != 0 {
		t.Errorf("%d messages were sent", n)
	}
}

// TestRunForbidden: a user who may not do what a run takes is told what that is, and with it can.
func TestRunForbidden(t *testing.T) {
	t.Parallel()
	a := newActor(t)
	user := brokertest.NewUser(t)
	user.Permit("^$", "^$", "^$")
	url := user.URL(brokertest.Password)
	_, errs, code := a.run(t, nil, "="+url, "busybox").end()
	const hint = `let the user configure and read ^docker-dispatch\.reply\..*, and write to ^amq\.default$`
	if code != 125 || !strings.Contains(errs, "permission missing") || !strings.Contains(errs, hint) {
		t.Errorf("exit %d: %s", code, errs)
	}
	user.Permit(`^docker-dispatch\.reply\..*`, `^amq\.default$`, `^docker-dispatch\.reply\..*`)
	o := a.run(t, nil, "="+url, "busybox")
	m := a.next(a.messages)
	a.out(m, "stdout", 0, "x")
	a.succeed(m, 1, 0)
	o.expect("x", "", 0)
	a.gone(m)
}

// TestRunDuringAlarm: a broker that is short of memory is said to be, and the first signal ends a run whose message it has
// not stored.
func TestRunDuringAlarm(t *testing.T) {
	brokertest.Disturbs(t)
	l := newLab(t)
	brokertest.Change(t, "vm_memory_monitor:set_vm_memory_high_watermark(0.00001)", "vm_memory_monitor:set_vm_memory_high_watermark(0.4)")
	o := l.run(t, nil, "busybox", "true")
	l.eventually("the run says that the broker takes nothing", func() bool {
		return strings.Contains(o.err.String(), "docker-dispatch: the broker takes no messages for now; waiting (low on memory)\n")
	})
	o.Process.Signal(syscall.SIGTERM)
	stdout, stderr, code := o.end()
	if code != 143 || stdout != "" || !strings.Contains(stderr, "docker-dispatch: left; the job ") || !strings.Contains(stderr, " may go on: the broker has not said that it has it\n") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// TestRunWithoutDaemon: a run that waits for a daemon ends at the first signal, and leaves its job and the stop to the next
// daemon.
func TestRunWithoutDaemon(t *testing.T) {
	t.Parallel()
	for _, control := range []bool{true, false} { // false: no daemon has been there ever
		l := newLab(t)
		if control {
			l.broker.Declare(l.queue+".control", "classic")
		}
		o := l.run(t, nil, "busybox")
		l.eventually("the message is stored", func() bool { return l.broker.Ready(l.queue) == 1 })
		o.Process.Signal(syscall.SIGTERM)
		_, errs, code := o.end()
		if code != 143 || !strings.Contains(errs, "docker-dispatch: left, because no daemon takes messages from the queue "+l.queue+"; the job ") || strings.Contains(errs, "its stop in the queue") != control {
			t.Errorf("exit %d, stderr %q", code, errs)
		}
		if n := l.broker.Ready(l.queue); n != 1 {
			t.Errorf("%d messages", n)
		}
		if control && l.broker.Ready(l.queue+".control") != 1 {
			t.Error("no stop")
		}
	}
}

// TestRunNobodyAnswers: a run for which there is no daemon says so when it is to end, and the next signal leaves.
func TestRunNobodyAnswers(t *testing.T) {
	t.Parallel()
	a := newActor(t)
	o := a.run(t, nil, "busybox")
	a.next(a.messages)
	o.Process.Signal(os.Interrupt)
	a.next(a.commands)
	a.eventually("it says so", func() bool {
		return strings.Contains(o.err.String(), "no daemon has answered yet; where none runs, the job ")
	})
	o.Process.Signal(os.Interrupt)
	if _, errs, code := o.end(); code != 130 || !strings.Contains(errs, "left; the job ") {
		t.Errorf("exit %d, stderr %q", code, errs)
	}
}
