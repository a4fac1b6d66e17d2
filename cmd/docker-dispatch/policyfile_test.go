package main

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestPolicyReadAgain: SIGHUP has the policy's file read again, and a faulty one changes nothing.
func TestPolicyReadAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	file := policyFile(t, `{"Deny": {"Image": "busybox"}}`)
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := l.start("--policy", file, "--format", "json")
	p.awaitLog("taking messages")
	send := func(n int, want event.Status) {
		t.Helper()
		l.publish(publication{"", `{"Dockercmd": "run", "Image": "busybox", "Cmd": ["true"], "Options": {"Remove": true}}`})
		p.done(n)
		results := p.results()
		if got := results[len(results)-1]; got.Status != want {
			t.Errorf("message %d: %+v, want %s", n, got, want)
		}
	}
	send(1, event.Refused)
	write(`{}`)
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.awaitLog(`msg="policy read again`)
	send(2, event.Succeeded)
	write("{\n \"Deny\": 7}")
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.awaitLog(`msg="policy not read again; the one of before stays in force"`)
	if !strings.Contains(p.log(), "line 2, column 2: Deny: expected an object") {
		t.Errorf("log %s", p.log())
	}
	send(3, event.Succeeded)
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestPolicyOfUser: the rules for a user hold for messages with the user_id that the broker has verified, also when they are
// tried again, and for nobody who says so in a header.
func TestPolicyOfUser(t *testing.T) {
	t.Parallel()
	l := newLab(t, "quorum")
	user := brokertest.NewUser(t)
	user.Permit(".*", ".*", ".*")
	file := policyFile(t, `{"Deny": {"Image": "*"}, "Users": {"`+user.Name+`": {"Deny": {"Image": []}}}}`)
	p := l.start("--policy", file, "--format", "json")
	p.awaitLog("taking messages")
	const body = `{"Dockercmd": "run", "Image": "busybox", "Cmd": ["false"], "Options": {"Remove": true, "Retry": {"Max": 1, "Delay": "1s"}}}`
	l.broker.Send(l.queue, amqp.Publishing{MessageId: "forged", Body: []byte(body), Headers: amqp.Table{"x-dispatch-user-id": user.Name, "x-dispatch-user-seal": "00"}})
	p.done(1)
	publishAs(t, user, l.queue, amqp.Publishing{MessageId: "verified", UserId: user.Name, Body: []byte(body)})
	p.done(3)
	var got []string
	for _, r := range p.results() {
		got = append(got, r.Job+" "+string(r.Status)+" "+r.Reason)
	}
	if want := "forged refused policy, verified failed exit, verified failed exit"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	l.deleteQueues(".retry.1")
}

// publishAs publishes a message on a connection of the user.
func publishAs(t *testing.T, user *brokertest.User, queue string, m amqp.Publishing) {
	t.Helper()
	conn, err := amqp.Dial(user.URL(brokertest.Password))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	confirmed, err := ch.PublishWithDeferredConfirm("", queue, true, false, m)
	if err != nil || !confirmed.Wait() {
		t.Fatalf("not published: %v", err)
	}
}

// TestPlainTCPWarning: whoever gives an engine's plain port that containers may reach is told what that means.
func TestPlainTCPWarning(t *testing.T) {
	t.Parallel()
	_, port, err := net.SplitHostPort(brokertest.Required(t, "DISPATCH_TEST_TCP"))
	if err != nil {
		t.Fatal(err)
	}
	const warning = "the engine's address is plain TCP"
	for address, warned := range map[string]bool{"0.0.0.0:" + port: true, "127.0.0.1:" + port: false} {
		c := program(t, address, "-")
		c.Stdin = strings.NewReader("")
		if _, stderr, code := outcome(t, c); code != 0 || strings.Contains(stderr, warning) != warned {
			t.Errorf("%s: exit %d: %s", address, code, stderr)
		}
	}
}

// TestSecretsOnDisk: whoever has the secrets on a disk is told.
func TestSecretsOnDisk(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	disk, err := os.MkdirTemp("/var/tmp", "secrets")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(disk) })
	for dir, warned := range map[string]bool{disk: !inMemory("/var/tmp"), "/dev/shm": !inMemory("/dev/shm")} {
		c := program(t, "--secrets", dir, l.dockerHost, "-")
		c.Stdin = strings.NewReader("")
		if _, stderr, code := outcome(t, c); code != 0 || strings.Contains(stderr, "the secrets are on a disk") != warned {
			t.Errorf("%s: exit %d: %s", dir, code, stderr)
		}
	}
}

// TestFlood: a container that writes without end is killed at the policy's ceiling.
func TestFlood(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("--policy", policyFile(t, `{"Max": {"Output": "1m"}}`), "--format", "json")
	l.publish(publication{"", `{"Dockercmd": "run", "Image": "busybox", "Cmd": ["yes"], "Options": {"Attach": ["STDOUT"], "Remove": true}}`})
	p.done(1)
	if r := p.results()[0]; r.Status != event.Failed || r.Reason != event.ReasonOutput || r.StdoutBytes <= 1<<20 || *r.ExitCode != 137 {
		t.Errorf("result %+v", r)
	}
}
