package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/client"
	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
)

// subcommand is the program as a subcommand that talks to the lab's broker.
func (l *lab) subcommand(args ...string) *exec.Cmd {
	c := program(l.t, args...)
	c.Env = append(c.Env, "AMQP_URL="+l.amqpURL)
	return c
}

// call runs a subcommand in this process.
func (l *lab) call(stdin string, args ...string) (stdout, stderr string, code int) {
	return call(stdin, []string{"AMQP_URL=" + l.amqpURL}, args...)
}

// succeeds runs a subcommand that must end with 0, with nothing on stderr, and returns its stdout.
func (l *lab) succeeds(stdin string, args ...string) string {
	l.t.Helper()
	stdout, stderr, code := l.call(stdin, args...)
	if code != 0 || stderr != "" {
		l.t.Fatalf("%q: exit %d, stdout %q, stderr:\n%s", args, code, stdout, stderr)
	}
	return stdout
}

// fails runs a subcommand that must end with the code, and returns stdout and stderr.
func (l *lab) fails(code int, stdin string, args ...string) (stdout, stderr string) {
	l.t.Helper()
	stdout, stderr, got := l.call(stdin, args...)
	if got != code {
		l.t.Fatalf("%q: exit %d, want %d, stdout %q, stderr:\n%s", args, got, code, stdout, stderr)
	}
	return stdout, stderr
}

func bodies(all []amqp.Delivery) (list []string) {
	for _, d := range all {
		list = append(list, string(d.Body))
	}
	return list
}

func TestSubcommandHelpAndUsage(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"send", "check", "dead", "run", "ps", "hosts"} {
		help, _, _ := call("", nil, name, "-h")
		for _, flag := range []string{"-h", "--help"} {
			stdout, stderr, code := call("", nil, name, flag)
			if !strings.Contains(help, "docker-dispatch "+name+" ") || stdout != help || stderr != "" || code != 0 {
				t.Errorf("%s %s: exit %d, stderr %q, stdout %q", name, flag, code, stderr, stdout)
			}
		}
		for line := range strings.Lines(help) {
			if len(line) > 96 {
				t.Errorf("%s: line of %d characters: %s", name, len(line), line)
			}
		}
	}
	const url = "a broker address is amqp://user:password@host:5672/vhost; %XX stands for special characters in a password"
	for _, tt := range []struct{ args, publication, hint string }{
		{"send --nosuch", "unknown option --nosuch", "docker-dispatch send -h lists the options"},
		{"send", "no queue given", "name it: docker-dispatch send -q NAME ..."},
		{"send -q x nosuch.json", "open nosuch.json: no such file or directory", "name files of messages, or - for stdin"},
		{"send -q x --reply x", "--reply x is the queue itself; answers would be taken for messages", "name another queue"},
		{"send -q x --max-message 0", "--max-message must be at least 1 byte", "leave it out for 1m"},
		{"send -q x --amqp http://u:secret@h", "", url},
		{"check --max-message 0", "--max-message must be at least 1 byte", "leave it out for 1m"},
		{"check nosuch.json", "open nosuch.json: no such file or directory", "name files of messages, or - for stdin"},
		{"policy explain nosuch.json", "policy explain: open nosuch.json: no such file or directory", "docker-dispatch help policy has the keys, and three examples"},
		{"check --policy nosuch.json", "--policy: open nosuch.json: no such file or directory", "docker-dispatch help policy has the keys, and three examples"},
		{"dead", "dead needs a verb: list, replay or drop", "docker-dispatch dead list -q QUEUE"},
		{"dead lst -q x", "dead lst: not one of list, replay, drop; did you mean list?", "docker-dispatch dead list -q QUEUE"},
		{"dead bury -q x", "dead bury: not one of list, replay, drop", "docker-dispatch dead list -q QUEUE"},
		{"dead list", "no queue given", "name it: docker-dispatch dead list -q NAME ..."},
		{"dead list -q x id", "dead list takes neither IDs nor --all nor --yes; it shows all", "docker-dispatch dead -h lists the options"},
		{"dead replay -q x", "dead replay wants either IDs or --all", "docker-dispatch dead list -q QUEUE shows the IDs"},
		{"dead replay -q x --all id", "dead replay wants either IDs or --all", "docker-dispatch dead list -q QUEUE shows the IDs"},
		{"dead drop -q x id", "dead drop deletes messages for good, and there is no terminal to ask on", "give --yes if that is meant"},
		{"dead list -q x --dead-letter x", "--dead-letter x is the queue itself", "leave it out for QUEUE.dead"},
		{"ps", "no queue given", "name it: docker-dispatch ps -q NAME ..."},
		{"ps -q x y", `ps takes no argument, and "y" is one`, "docker-dispatch ps -h lists the options"},
		{"ps -q x --watch 0s", "--watch 0s: expected a time from 100ms on, such as 5s", "docker-dispatch ps -h lists the options"},
		{"ps -q x --wait 2m", "--wait 2m0s: not from 100ms to 1m", "docker-dispatch ps -h lists the options"},
		{"ps -q x --format yaml", `invalid value "yaml" for option --format: expected "text" or "json"`, "docker-dispatch ps -h lists the options"},
		{"hosts", "no queue given", "name it: docker-dispatch hosts -q NAME ..."},
		{"hosts -q x --yes", "--yes is for hosts release; the list asks nothing", "docker-dispatch hosts -h lists the options"},
		{"hosts -q x relase b", "hosts relase: the only verb is release; did you mean that?", "docker-dispatch hosts -q QUEUE lists the hosts"},
		{"hosts -q x b", "hosts b: the only verb is release", "docker-dispatch hosts -q QUEUE lists the hosts"},
		{"hosts release -q x", "hosts release wants the name of one host", "docker-dispatch hosts -q QUEUE lists them"},
		{"hosts release -q x a b", "hosts release wants the name of one host", "docker-dispatch hosts -q QUEUE lists them"},
		{"hosts release -q x b", "hosts release lets other hosts run the jobs of b again, and there is no terminal to ask on", "give --yes if the host is off for good"},
		{"hosts -q x --wait 1ms", "--wait 1ms: not from 100ms to 1m", "docker-dispatch hosts -h lists the options"},
		{"hosts -q x --format yaml", `invalid value "yaml" for option --format: expected "text" or "json"`, "docker-dispatch hosts -h lists the options"},
		{"dead list -q x --format yaml", `invalid value "yaml" for option --format: expected "text" or "json"`, "docker-dispatch dead -h lists the options"},
	} {
		stdout, stderr, code := call("", nil, strings.Fields(tt.args)...)
		message, hint, _ := strings.Cut(strings.TrimSuffix(stderr, "\n"), "\n")
		if code != ui.ExitUsage || stdout != "" || hint != "hint: "+tt.hint || tt.publication != "" && message != "docker-dispatch: error: "+tt.publication {
			t.Errorf("%s: exit %d, stdout %q, stderr:\n%s\nwant %q and hint %q", tt.args, code, stdout, stderr, tt.publication, tt.hint)
		}
		if strings.Contains(stderr, "secret") {
			t.Errorf("%s: the password shows: %s", tt.args, stderr)
		}
	}
}

// Nobody answers: that is said at once.
func TestSubcommandNoBroker(t *testing.T) {
	t.Parallel()
	_, stderr, code := call("{}", nil, "send", "-q", "x", "--amqp", "amqp://u:secret@127.0.0.1:1/")
	if code != ui.ExitFailed || !strings.Contains(stderr, "broker amqp://u:xxxxx@127.0.0.1:1/: ") || !strings.Contains(stderr, "hint: is the broker running there?") {
		t.Errorf("exit %d, stderr:\n%s", code, stderr)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := dir + "/" + name
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", `{"Dockercmd": "run", "Image": "a"}`+"\n{\"Dockercmd\":\n\"stop\", \"Container\": \"c\"}{\"Dockercmd\": \"pull\", \"Image\": \"a\"}\n")
	bad := write("bad", "{\"Dockercmd\": \"run\", \"Image\": \"a\"}\nrubbish\x1b[2J\n{\"Dockercmd\": \"run\", \"Image\": \"a\", \"Options\": {\"Privileged\": true}}\n")
	// Cut short in the middle of a line: what follows is checked all the same.
	cut := write("cut", "\ufeff"+strings.Repeat(`{"Dockercmd": "pull", "Image": "a"}
{"Dockercmd": "run", "Image": "a
{"Dockercmd": "pull", "Image": "a"}
{"Dockercmd": "run", "Cmd": ["a",
{"Dockercmd": "pull", "Image": "a", "Options": {"Platform": "{"}}
{"Dockercmd": "run", "Image": "a", "Cmd": ["echo
a"]}
`, 2))
	trust := write("trust", `{"Trust": true}`)
	for _, tt := range []struct {
		args   []string
		stdin  string
		code   int
		stdout []string // beginnings of the lines
		stderr string
	}{
		{[]string{good}, "", 0, nil, "docker-dispatch: 3 messages checked, 0 faults\n"},
		{nil, `{"Dockercmd": "rum", "Image": "a"}`, 1, []string{`stdin:1: Dockercmd: unknown command "rum"; did you mean "run"?`}, "docker-dispatch: 1 message checked, 1 fault\n"},
		{[]string{good, bad, "-"}, "{", 1, []string{bad + ":2: not JSON", bad + ":3: Options.Privileged: denied", "stdin:1: not JSON"}, "docker-dispatch: 7 messages checked, 3 faults\n"},
		{[]string{bad, "--policy", trust}, "", 1, []string{bad + ":2: not JSON"}, "docker-dispatch: 3 messages checked, 1 fault\n"},
		{[]string{"--max-message", "20"}, `{"Dockercmd": "pull", "Image": "a"}`, 1, []string{"stdin:1: the message is larger than the 20 bytes"}, "docker-dispatch: 1 message checked, 1 fault\n"},
		{[]string{cut}, "", 1, []string{
			cut + ":2: not JSON", cut + ":4: not JSON", cut + ":5: not JSON: line 1, column 49: invalid character '\\n'",
			cut + ":7: not JSON", cut + ":9: not JSON", cut + ":10: not JSON",
		}, "docker-dispatch: 10 messages checked, 6 faults\n"},
		{nil, "", 0, nil, "docker-dispatch: 0 messages checked, 0 faults\n"},
		{[]string{dir}, "", 1, nil, "docker-dispatch: error: " + dir + ": cannot be read: read " + dir + ": is a directory\n"},
	} {
		stdout, stderr, code := call(tt.stdin, nil, append([]string{"check"}, tt.args...)...)
		lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
		if stdout == "" {
			lines = nil
		}
		ok := code == tt.code && stderr == tt.stderr && len(lines) == len(tt.stdout) && !strings.Contains(stdout, "\x1b")
		for i := range min(len(lines), len(tt.stdout)) {
			ok = ok && strings.HasPrefix(lines[i], tt.stdout[i])
		}
		if !ok {
			t.Errorf("%q: exit %d, stderr %q, stdout:\n%s", tt.args, code, stderr, stdout)
		}
	}
}

// Where nobody reads the faults it ends.
func TestCheckReaderGoes(t *testing.T) {
	t.Parallel()
	c := program(t, "check")
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	defer write.Close()
	c.Stdout = write
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(stdin, "rubbish")
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case err := <-ended:
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != ui.ExitFailed {
			t.Errorf("%v", err)
		}
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

func TestSend(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	file := t.TempDir() + "/jobs.json"
	one, two, three := `{"Dockercmd": "pull", "Image": "one"}`, "{\"Dockercmd\": \"pull\",\n\"Image\": \"two\"}", `{"Dockercmd": "pull", "Image": "three"}`
	if err := os.WriteFile(file, []byte(one+two+"\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := l.succeeds(three, "send", "-q", l.queue, file, "-"); out != "3 messages stored in "+l.queue+"\n" {
		t.Errorf("stdout %q", out)
	}
	got := l.broker.Take(l.queue)
	if fmt.Sprint(bodies(got)) != fmt.Sprint([]string{one, two, three}) {
		t.Errorf("stored: %q", bodies(got))
	}
	ids := map[string]bool{}
	for _, d := range got {
		ids[d.MessageId] = true
		if d.DeliveryMode != amqp.Persistent || d.ContentType != "application/json" || d.ReplyTo != "" {
			t.Errorf("stored: %+v", d)
		}
	}
	if len(ids) != 3 || ids[""] {
		t.Errorf("message_ids: %v", ids)
	}

	if out := l.succeeds(one, "send", "-q", l.queue, "--message-id", "nightly", "--reply", "answers"); out != "1 message stored in "+l.queue+"\n" {
		t.Errorf("stdout %q", out)
	}
	if got := l.broker.Take(l.queue); len(got) != 1 || got[0].MessageId != "nightly" || got[0].ReplyTo != "answers" {
		t.Errorf("stored: %+v", got)
	}
	dashed := filepath.Dir(file) + "/-x"
	if err := os.WriteFile(dashed, []byte(one), 0o600); err != nil {
		t.Fatal(err)
	}
	c := l.subcommand("send", "-q", l.queue, "--", "jobs.json", "-x")
	c.Dir = filepath.Dir(file)
	if stdout, stderr, _ := outcome(t, c); stdout != "3 messages stored in "+l.queue+"\n" {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
	l.broker.Take(l.queue)
	if out := l.succeeds("rubbish\n{}\n", "send", "-q", l.queue, "--no-check"); out != "2 messages stored in "+l.queue+"\n" {
		t.Errorf("stdout %q", out)
	}
	if got := bodies(l.broker.Take(l.queue)); fmt.Sprint(got) != "[rubbish {}]" {
		t.Errorf("stored: %q", got)
	}
	if _, stderr := l.fails(ui.ExitUsage, one+two, "send", "-q", l.queue, "--message-id", "x"); !strings.Contains(stderr, "--message-id with more than one message") {
		t.Errorf("stderr %q", stderr)
	}

	// A fault ends it there: what went before is stored, and said to be.
	_, stderr := l.fails(ui.ExitFailed, one+two+`{"Dockercmd": "rum"}`+three, "send", "-q", l.queue)
	if got := bodies(l.broker.Take(l.queue)); len(got) != 2 {
		t.Errorf("stored: %q", got)
	}
	for _, want := range []string{"2 messages stored in " + l.queue + "; no later message was sent", "stdin:3 is not sent: Dockercmd: unknown command"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, stderr)
		}
	}
}

// What the broker does not store is said by file and number, and is not stored.
func TestSendNotStored(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	one := `{"Dockercmd": "pull", "Image": "one"}`
	_, stderr := l.fails(ui.ExitFailed, one+one, "send", "-q", l.queue+".nosuch")
	for _, want := range []string{"stdin:1: no such queue: ", "0 messages stored in " + l.queue + ".nosuch, 1 not stored; no later message was sent", "hint: check the name"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr lacks %q:\n%s", want, stderr)
		}
	}
	full := l.queue + ".full"
	t.Cleanup(func() { l.deleteQueues(".full") })
	l.broker.DeclareWith(full, amqp.Table{"x-max-length": 50, "x-overflow": "reject-publish"})
	_, stderr = l.fails(ui.ExitFailed, strings.Repeat(one, 5000), "send", "-q", full)
	stored := len(l.broker.Take(full))
	if !strings.Contains(stderr, fmt.Sprintf("docker-dispatch: %d messages stored in %s", stored, full)) || !strings.Contains(stderr, "the broker could not store it") {
		t.Errorf("%d are stored; stderr:\n%s", stored, stderr)
	}
}

// A connection that is cut: what is said to be stored is, and of the rest nobody knows.
func TestSendCut(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.subcommand("send", "-q", l.queue)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(stdin, strings.Repeat(`{"Dockercmd": "pull", "Image": "one"}`, 10))
	l.eventually("ten are stored", func() bool { return l.broker.Ready(l.queue) == 10 })
	brokertest.CloseConnections(t, "docker-dispatch send@", l.queue)
	err = c.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != ui.ExitFailed {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"10 messages stored in", "the connection to the broker has ended: the broker says: 320"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %q:\n%s", want, stderr.String())
		}
	}
}

// On a terminal a line shows how far it is, and vanishes.
func TestSendProgress(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tty := newPTY(t)
	c := l.subcommand("send", "-q", l.queue)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = tty.slave
	var stdout bytes.Buffer
	c.Stdout = &stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(stdin, `{"Dockercmd": "pull", "Image": "one"}`)
	tty.awaitText("1 stored")
	stdin.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	tty.shows("")
	if s := tty.written(); strings.Contains(s, "\n") {
		t.Errorf("on the terminal stands %q", s)
	}
	if stdout.String() != "1 message stored in "+l.queue+"\n" {
		t.Errorf("stdout %q", stdout.String())
	}
}

// The line is not in the way of a person who types messages.
func TestSendTyped(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tty := newPTY(t)
	c := l.subcommand("send", "-q", l.queue)
	c.Stdin, c.Stderr = tty.slave, tty.slave
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	tty.awaitText("Ctrl-D on a line of its own ends them")
	tty.typed(`{"Dockercmd": "pull", "Image": "one"}` + "\n")
	l.eventually("it is stored", func() bool { return l.broker.Ready(l.queue) == 1 })
	tty.typed("\x04")
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if s := tty.written(); strings.Contains(s, "\x1b") {
		t.Errorf("on the terminal stands %q", s)
	}
}

// A signal ends it in order: what is stored is told.
func TestSendInterrupted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := l.subcommand("send", "-q", l.queue)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(stdin, strings.Repeat(`{"Dockercmd": "pull", "Image": "one"}`, 3))
	l.eventually("three are stored", func() bool { return l.broker.Ready(l.queue) == 3 })
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != ui.ExitFailed {
		t.Errorf("%v", err)
	}
	if !strings.Contains(stderr.String(), "3 messages stored in") || !strings.Contains(stderr.String(), "error: interrupted") {
		t.Errorf("stderr:\n%s", stderr.String())
	}
}

// rpcPatience is less than send waits for a broker that does not read.
const rpcPatience = 10 * time.Second

// A second signal ends it also where the broker does not read what is sent.
func TestSendStalled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	proxy, through := l.proxied(t)
	c := l.subcommand("send", "--no-check", "-q", l.queue, "--amqp", through)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(stdin, "first")
	l.eventually("the first is stored", func() bool { return l.broker.Ready(l.queue) == 1 })
	proxy.Stall(1, brokertest.ToServer)
	line := bytes.Repeat([]byte("x"), 1<<20)
	line[len(line)-1] = '\n'
	written := make(chan struct{})
	go func() {
		defer close(written)
		for range 32 { // more than sockets hold: it is writing then
			if _, err := stdin.Write(line); err != nil {
				return // it has ended
			}
		}
	}()
	select {
	case <-written:
	case <-time.After(rpcPatience): // it reads no more, for it cannot write
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	signal := time.NewTicker(2 * ui.SameSignal)
	defer signal.Stop()
	for began := time.Now(); ; {
		select {
		case <-signal.C:
			c.Process.Signal(os.Interrupt)
		case err := <-ended:
			if took := time.Since(began); took > client.LastAcks {
				t.Errorf("it took %v to end (%v)", took, err)
			}
			return
		}
	}
}

// Nothing is sent to a stream, and none is looked into: no daemon takes from it, and no ack takes out of it.
func TestSubcommandsRefuseStreams(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	stream := l.queue + ".stream"
	l.broker.DeclareWith(stream, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeStream})
	t.Cleanup(func() {
		l.broker.Do(func(ch *amqp.Channel) error { _, err := ch.QueueDelete(stream, false, false, false); return err })
	})
	for _, tt := range []struct {
		args []string
		code int
	}{
		{[]string{"send", "-q", stream}, ui.ExitUsage},
		{[]string{"run", "-q", stream, "busybox", "true"}, 125},
		{[]string{"run", "-q", stream, "-d", "busybox", "true"}, 125},
		{[]string{"dead", "list", "-q", l.queue, "--dead-letter", stream}, ui.ExitUsage},
		{[]string{"dead", "drop", "-q", l.queue, "--dead-letter", stream, "--all", "--yes"}, ui.ExitUsage},
	} {
		_, stderr := l.fails(tt.code, `{"Dockercmd":"pull","Image":"x"}`, tt.args...)
		if !strings.Contains(stderr, fmt.Sprintf("queue %q is a stream, and jobs cannot be taken from a stream; use a classic or quorum queue", stream)) {
			t.Errorf("%q: stderr:\n%s", tt.args, stderr)
		}
		t.Log(stderr)
	}
}
