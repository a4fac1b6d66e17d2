package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/claims"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// enter makes a host of the lab's queue known at the broker, as a daemon does, until leave is called. It has no engine.
func (l *lab) enter(name string, labels map[string]string) (c *claims.Claims, leave func()) {
	l.t.Helper()
	l.forgetHost(name)
	address, err := wire.ParseURL(l.amqpURL)
	if err != nil {
		l.t.Fatal(err)
	}
	c = claims.New(&wire.Dialer{Address: address, Name: "test"}, claims.Config{
		Queue: l.queue, Host: name, Labels: labels, Log: slog.New(slog.DiscardHandler),
		EngineID: func(context.Context) (string, error) { return "ENGINE:OF:" + name, nil },
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Run(ctx)
		close(ended)
	}()
	leave = func() {
		stop()
		<-ended
	}
	l.t.Cleanup(leave)
	for open, changed := c.Entered().State(); !open; open, changed = c.Entered().State() {
		select {
		case <-changed:
		case err := <-ended:
			l.t.Fatalf("host %s: %v", name, err)
		}
	}
	return c, leave
}

// forgetHost deletes what a host leaves at the broker, when the test ends.
func (l *lab) forgetHost(name string) {
	l.t.Cleanup(func() {
		l.deleteQueues(".hosts", ".host."+name, ".host."+name+".control", ".host."+name+".seen")
		hash := sha256.Sum256([]byte(l.queue + "\x00" + name))
		l.broker.Do(func(ch *amqp.Channel) error {
			for _, kind := range []string{"h", "released"} {
				for epoch := range 3 {
					if err := ch.ExchangeDelete(fmt.Sprintf("docker-dispatch.%s.%x.%d", kind, hash[:5], epoch), false, false); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
}

// hosts returns what docker-dispatch hosts prints, with the spaces between words as one, and without the times.
func (l *lab) hosts() string {
	l.t.Helper()
	text := regexp.MustCompile(`since [-0-9]+ [:0-9]+Z \(\d+s ago\)`).ReplaceAllString(l.succeeds("", "hosts", "-q", l.queue), "since T")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}

// TestHosts: the list has each host that ever was, how it is, what waits for it, and its labels.
func TestHosts(t *testing.T) {
	t.Parallel()
	l := newLab(t, "quorum")
	_, stderr := l.fails(ui.ExitFailed, "", "hosts", "-q", "nosuch-"+l.queue)
	if !strings.Contains(stderr, `error: no such queue: "nosuch-`) {
		t.Errorf("of a queue that is not there:\n%s", stderr)
	}
	_, stderr = l.fails(ui.ExitFailed, "", "hosts", "-q", l.queue)
	if want := "docker-dispatch: error: " + l.queue + " has no hosts\nhint: a daemon that has --host NAME is one; docker-dispatch ps -q " + l.queue + " asks those without\n"; stderr != want {
		t.Errorf("without hosts:\n%s\nwant\n%s", stderr, want)
	}
	_, leave := l.enter("beta", nil)
	l.enter("alpha", map[string]string{"zone": "north", "gpu": "yes"})
	l.broker.Send(l.queue+".host.beta", amqp.Publishing{Body: []byte("{}")}, amqp.Publishing{Body: []byte("{}")})
	l.eventually("the first signs of life are there", func() bool {
		return l.broker.Ready(l.queue+".host.alpha.seen")+l.broker.Ready(l.queue+".host.beta.seen") == 2
	})
	if got, want := l.hosts(), "HOST STATE RUNNING WAITING LABELS\nalpha alive - 0 gpu=yes,zone=north\nbeta alive - 2\n"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	leave()
	if got, want := l.hosts(), "HOST STATE RUNNING WAITING LABELS\nalpha alive - 0 gpu=yes,zone=north\nbeta not seen since T - 2\n"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	out := l.succeeds("", "hosts", "-q", l.queue, "--format", "json")
	var got []map[string]any
	for line := range strings.Lines(out) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		got = append(got, one)
	}
	if len(got) != 2 || got[0]["State"] != "alive" || got[1]["State"] != "away" || got[1]["Seen"] == nil || got[1]["Waiting"] != 2.0 {
		t.Errorf("as JSON:\n%s", out)
	}
}

// TestHostsRelease: a release asks on a terminal, refuses a host that is alive, puts the messages of a lost one back, and lets
// other hosts claim what it had.
func TestHostsRelease(t *testing.T) {
	t.Parallel()
	l := newLab(t, "quorum")
	alpha, _ := l.enter("alpha", nil)
	beta, leave := l.enter("beta", nil)
	release := []string{"hosts", "release", "-q", l.queue}
	_, stderr := l.fails(ui.ExitFailed, "", append(release, "--yes", "gamma")...)
	if want := "docker-dispatch: error: gamma is no host of " + l.queue + "; nothing was released\nhint: docker-dispatch hosts -q " + l.queue + " lists the hosts\n"; stderr != want {
		t.Errorf("%s\nwant\n%s", stderr, want)
	}
	// answer types the answer when the terminal shows a text.
	answer := func(typed, shows string, args ...string) (screen, stdout string, code int) {
		tty := newPTY(t)
		c := l.subcommand(append(release, args...)...)
		var out bytes.Buffer
		c.Stdin, c.Stdout, c.Stderr = tty.slave, &out, tty.slave
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		tty.awaitText(shows)
		if tty.typed(typed); typed == "\x03" {
			c.Process.Signal(os.Interrupt)
		}
		if exit, ok := errors.AsType[*exec.ExitError](c.Wait()); ok {
			code = exit.ExitCode()
		}
		return tty.written(), out.String(), code
	}
	for _, args := range [][]string{{"beta"}, {"--yes", "beta"}} {
		if screen, _, code := answer("", "hint: stop its daemon first: what it runs", args...); code != ui.ExitFailed || !strings.HasPrefix(screen, "docker-dispatch: error: beta is alive; nothing was released\r\n") {
			t.Errorf("%q: exit %d, %s", args, code, screen)
		}
	}

	job, name := intake.JobKey("/", l.queue, `a\xe9`), intake.NameKey("web-"+l.serial)
	kept := intake.NameKey("kept-" + l.serial) // of a container without a message
	for _, key := range []intake.ClaimKey{job, name, kept} {
		if other, err := beta.Claim(t.Context(), key); other != nil || err != nil {
			t.Fatal(other, err)
		}
	}
	address := func(key intake.ClaimKey) string {
		claim, err := alpha.Look(t.Context(), key)
		if claim == nil || err != nil {
			t.Fatalf("%v: %v, %v", key, claim, err)
		}
		return claim.Address
	}
	addresses := []string{address(job), address(name), address(kept)}
	leave()
	l.broker.Send(l.queue+".host.beta",
		amqp.Publishing{MessageId: "a\xe9", Body: []byte(`{"Dockercmd": "run", "Image": "busybox", "Options": {"Name": "` + name.Key + `"}}`)},
		amqp.Publishing{MessageId: "b", Body: []byte(`{"Dockercmd": "stop", "Container": "x"}`)},
		amqp.Publishing{Body: []byte(`not JSON`), Headers: amqp.Table{"x-dispatch-job": "c"}},
		amqp.Publishing{Headers: amqp.Table{"x-dispatch-moved": true}}) // the note that follows a copy

	for _, tt := range []struct {
		typed string
		args  []string
		code  int
		put   int
	}{
		{"n\n", nil, ui.ExitFailed, -1},
		{"\n", nil, ui.ExitFailed, -1},
		{"\x03", nil, ui.ExitFailed, -1}, // Ctrl-C
		{"y\n", nil, 0, 3},
		{"", []string{"--yes"}, 0, 0}, // once more
	} {
		question := ""
		if tt.typed != "" {
			question = "Is beta off for good, or are its containers stopped? Release it? [y/N] "
		}
		screen, stdout, code := answer(tt.typed, question, append(tt.args, "beta")...)
		want := ""
		if tt.put >= 0 {
			want = fmt.Sprintf("beta is released: %d messages put back onto %s\n", tt.put, l.queue)
		}
		if code != tt.code || stdout != want || tt.typed != "" && !strings.Contains(screen, "4 messages wait for it in "+l.queue+".host.beta and "+l.queue+".host.beta.control.") {
			t.Errorf("%q: exit %d, on the terminal %q, stdout %q", tt.typed, code, screen, stdout)
		}
	}
	l.eventually("the messages are back", func() bool { return l.broker.Ready(l.queue) == 3 })
	var ids []string
	for _, d := range l.broker.Take(l.queue) {
		ids = append(ids, d.MessageId)
	}
	if fmt.Sprintf("%q", ids) != `["a\xe9" "b" ""]` {
		t.Errorf("back are %q", ids)
	}
	if got, want := l.hosts(), "HOST STATE RUNNING WAITING\nalpha alive - 0\nbeta released - 0\n"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for i, key := range []intake.ClaimKey{job, name, kept} {
		if claim, err := alpha.Look(t.Context(), key); err != nil || claim == nil || !claim.Void {
			t.Errorf("%v: %+v, %v", key, claim, err)
		}
		if other, err := alpha.Claim(t.Context(), key); other != nil || err != nil {
			t.Errorf("%v: %+v, %v", key, other, err)
		}
		if address(key) == addresses[i] { // a claim that is void stays for ever
			t.Errorf("the claim of %v was deleted", key)
		}
		if err := alpha.Unclaim(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
}

// TestHostsForbidden: a user who may not see the hosts is told which line gives the permissions.
func TestHostsForbidden(t *testing.T) {
	t.Parallel()
	l := newLab(t, "quorum")
	l.enter("alpha", nil)
	user := brokertest.NewUser(t)
	user.Permit("^$", "^$", "^$")
	_, stderr, code := call("", []string{"AMQP_URL=" + user.URL(brokertest.Password)}, "hosts", "-q", l.queue)
	if code != ui.ExitFailed || !strings.Contains(stderr, "permission missing: ") || !strings.Contains(stderr, "hint: give the user the permissions for hosts: docker-dispatch help operate has the line") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
