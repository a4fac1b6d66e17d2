package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
)

// How many letters a look takes at first and at most, and how many may fail before replay gives up: see
// client/dead/look.go and client/dead/replay.go.
const (
	looksAtFirst = 16
	looksAtMost  = 256
	failsAtMost  = 100
)

// bury puts messages into the dead-letter queue, as a daemon does.
func (l *lab) bury(kind string, letters ...amqp.Publishing) {
	l.t.Helper()
	l.broker.Do(func(ch *amqp.Channel) error {
		if _, err := ch.QueueDeclare(l.queue+".dead", true, false, false, false, amqp.Table{amqp.QueueTypeArg: kind}); err != nil {
			return err
		}
		if err := ch.Confirm(false); err != nil {
			return err
		}
		var last *amqp.DeferredConfirmation
		for _, p := range letters {
			p.DeliveryMode = amqp.Persistent
			c, err := ch.PublishWithDeferredConfirm("", l.queue+".dead", true, false, p)
			if err != nil {
				return err
			}
			last = c
		}
		if last != nil {
			last.Wait()
		}
		return nil
	})
	l.eventually("all are buried", func() bool { return l.broker.Ready(l.queue+".dead") == len(letters) })
}

// letter is a dead letter of the lab's queue.
func (l *lab) letter(id, body string) amqp.Publishing {
	return amqp.Publishing{
		MessageId: id, Body: []byte(body), ContentType: "application/json", ReplyTo: "answers", CorrelationId: "c" + id, Priority: 1,
		Headers: amqp.Table{
			"x-dispatch-reason": "invalid-message", "x-dispatch-error": "why\x1b[2J\n" + id, "x-dispatch-host": "h", "x-dispatch-queue": l.queue,
			"x-dispatch-time": time.Now().Add(-90 * time.Minute).UTC().Format(time.RFC3339), "x-dispatch-copy": "COPY" + id, "own": "kept",
		},
	}
}

func (l *lab) letters(n int) (list []amqp.Publishing) {
	for i := range n {
		list = append(list, l.letter(fmt.Sprint(i), fmt.Sprintf(`{"Dockercmd": "pull", "Image": "i%d"}`, i)))
	}
	return list
}

// list shows what they were, in order, and takes nothing away.
func TestDeadList(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t)
			first := l.letter("first", `{"Dockercmd": "run", "Image": "alpine", "Options": {"Memroy": "64m"}}`)
			nameless := l.letter("", `{"Dockercmd": "stop", "Container": "c", "Image": 7}`)
			brokers := amqp.Publishing{Body: []byte("rub\x1bbish"), MessageId: "last", Headers: amqp.Table{"x-first-death-reason": "rejected", "x-first-death-queue": "q"}}
			l.bury(kind, first, nameless, brokers)
			for range 2 {
				out := l.succeeds("", "dead", "list", "-q", l.queue)
				var fields [][]string
				for line := range strings.Lines(out) {
					fields = append(fields, strings.Fields(line))
				}
				want := [][]string{
					{"ID", "AGE", "REASON", "WHAT", "ERROR"},
					{"first", "90m", "invalid-message", "run", "alpine", "why?[2J", "first"},
					{"COPY", "90m", "invalid-message", "stop", "c", "why?[2J"},
					{"last", "-", "rejected", "rub?bish", "-"},
				}
				if fmt.Sprint(fields) != fmt.Sprint(want) {
					t.Errorf("list:\n%s\nwant %q", out, want)
				}
			}
			out, warning, _ := l.call("", "dead", "list", "-q", "other", "--dead-letter", l.queue+".dead", "--format", "json")
			if warning != "" {
				t.Errorf("stderr:\n%s", warning)
			}
			d := json.NewDecoder(strings.NewReader(out))
			var got struct {
				Id, Target, Queue, Copy string
				Bytes                   int
			}
			if err := d.Decode(&got); err != nil || got.Id != "first" || got.Target != "alpine" || got.Queue != l.queue || got.Copy != "COPYfirst" || got.Bytes != len(first.Body) {
				t.Errorf("as JSON: %+v (%v)", got, err)
			}
			left := l.broker.Take(l.queue + ".dead")
			if fmt.Sprint(bodies(left)) != fmt.Sprint([]string{string(first.Body), string(nameless.Body), string(brokers.Body)}) {
				t.Errorf("left: %q", bodies(left))
			}
			_, stderr, code := l.call("", "dead", "list", "-q", l.queue)
			if code != 0 || !strings.Contains(stderr, "no dead letters in") {
				t.Errorf("of none: exit %d, stderr %q", code, stderr)
			}
		})
	}
	l := newLab(t)
	_, stderr := l.fails(ui.ExitFailed, "", "dead", "list", "-q", l.queue)
	if !strings.Contains(stderr, "no such queue") || !strings.Contains(stderr, "hint: a daemon declares its dead-letter queue") {
		t.Errorf("stderr:\n%s", stderr)
	}
}

// TestDeadListColours: the reasons are red on a terminal, and nowhere else. NO_COLOR switches that off.
func TestDeadListColours(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.bury("classic", l.letter("first", `{"Dockercmd": "none"}`))
	red := "\x1b[31minvalid-message\x1b[39m"
	for _, tt := range []struct {
		env      string
		terminal bool
		red      bool
	}{{"NO_COLOR=", true, true}, {"NO_COLOR=1", true, false}, {"TERM=dumb", true, false}, {"NO_COLOR=", false, false}} {
		c := l.subcommand("dead", "list", "-q", l.queue)
		c.Env = append(c.Env, tt.env)
		var out string
		if tt.terminal {
			tty := newPTY(t)
			c.Stdout = tty.slave
			if err := c.Run(); err != nil {
				t.Fatal(err)
			}
			tty.awaitText("first\n") // the last line's end
			out = tty.written()
		} else {
			out, _, _ = outcome(t, c)
		}
		if strings.Contains(out, red) != tt.red || strings.Contains(out, "\x1b") != tt.red || !strings.Contains(out, "invalid-message") {
			t.Errorf("%s, terminal %v: %q", tt.env, tt.terminal, out)
		}
		if plain := strings.NewReplacer("\x1b[31m", "", "\x1b[39m", "").Replace(out); strings.Index(plain, "WHAT")-strings.Index(plain, "REASON") != len("invalid-message  ") {
			t.Errorf("the columns are not straight: %q", out)
		}
	}
}

// A quorum queue that is asked for no prefetch sends 2000, and then none.
func TestDeadMany(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const many = 2500
	l.bury("quorum", l.letters(many)...)
	for range 2 { // at once, while the queue still appends what it has back
		if n := strings.Count(l.listed(), "\n"); n != many {
			t.Errorf("%d are listed", n)
		}
	}
	stdout, stderr, _ := l.call("", "dead", "replay", "-q", l.queue, "0", fmt.Sprint(many-1))
	if stdout != "2 messages put back\n" || stderr != "" {
		t.Errorf("stdout %q, stderr:\n%s", stdout, stderr)
	}
	if out := l.succeeds("", "dead", "drop", "-q", l.queue, "--yes", "--all"); out != fmt.Sprintf("%d messages dropped from %s.dead\n", many-2, l.queue) {
		t.Errorf("stdout %q", out)
	}
}

// However often dead letters are looked at, and however few returns the queue bears, none is lost, and their order and
// their properties stay.
func TestDeadLooks(t *testing.T) {
	t.Parallel()
	for _, limit := range []int32{1, 20} {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			l := newLab(t)
			dead := l.queue + ".dead"
			l.broker.DeclareWith(dead, amqp.Table{amqp.QueueTypeArg: "quorum", "x-delivery-limit": limit})
			send := func(p amqp.Publishing) {
				l.broker.Send(dead, p)
			}
			letters := l.letters(4)
			for _, p := range letters {
				p.Headers["x-dispatch-queue"] = l.queue + ".missing"
			}
			for _, p := range letters[:3] {
				send(p)
			}
			l.eventually("three are there", func() bool { return l.broker.Ready(dead) == 3 })
			for i := range 24 {
				var args []string
				want, code := "", ui.ExitFailed
				switch i % 4 {
				case 0:
					args, code, want = []string{"list", "-q", l.queue}, 0, "0"
				case 1:
					args = []string{"replay", "-q", l.queue, "1", "unknown"}
				case 2:
					args = []string{"drop", "-q", l.queue, "--yes", "2", "unknown"}
				case 3:
					args = []string{"replay", "-q", l.queue, "--all"}
				}
				stdout, stderr, got := l.call("", append([]string{"dead"}, args...)...)
				if got != code || !strings.Contains(stdout, want) || strings.Contains(stderr, "warning") {
					t.Fatalf("look %d: exit %d\n%s\n%s", i+1, got, stdout, stderr)
				}
				if i == 10 { // among those that have been returned
					send(letters[3])
					l.eventually("four are there", func() bool { return l.broker.Ready(dead) == 4 })
				}
			}
			left := l.broker.Take(l.queue + ".dead")
			if fmt.Sprint(bodies(left)) != fmt.Sprint(bodiesOf(letters)) {
				t.Fatalf("left: %q", bodies(left))
			}
			for i, d := range left {
				p := letters[i]
				delete(d.Headers, "x-delivery-count")
				delete(d.Headers, "x-acquired-count")
				delete(d.Headers, "x-dispatch-look")
				got := fmt.Sprint(d.MessageId, d.ContentType, d.ReplyTo, d.CorrelationId, d.Priority, d.DeliveryMode, d.Headers)
				want := fmt.Sprint(p.MessageId, p.ContentType, p.ReplyTo, p.CorrelationId, p.Priority, amqp.Persistent, p.Headers)
				if got != want {
					t.Errorf("letter %d is\n%s, was\n%s", i, got, want)
				}
			}
		})
	}
}

// Who may not write into the queue is warned, and loses nothing before its limit.
func TestDeadLooksForbidden(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	user := brokertest.NewUser(t)
	user.Permit(".*", "^$", ".*")
	url := user.URL(brokertest.Password)
	l.bury("quorum", l.letters(3)...)
	for i := range 3 {
		stdout, stderr, code := l.call("", "dead", "list", "-q", l.queue, "--amqp", url)
		if code != 0 || strings.Count(stdout, "\n") != 4 {
			t.Errorf("exit %d\n%s", code, stdout)
		}
		if warned := strings.Contains(stderr, "warning: dead letters could not be put into "+l.queue+".dead anew: "); warned != (i > 0) {
			t.Errorf("look %d: stderr:\n%s", i+1, stderr)
		}
		t.Log(stderr)
	}
}

// TestDeadUnsendable: a letter that cannot be sent is lost at the limit, alone, and is named before. One that only just can be
// sent is not lost.
func TestDeadUnsendable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, user string
		lost       bool
	}{
		{"too large with the user's name", "guest", true},
		{"just not too large", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			dead := l.queue + ".dead"
			size := 131_000
			if !tt.lost {
				size = 130_600
			}
			l.broker.DeclareWith(dead, amqp.Table{amqp.QueueTypeArg: "quorum", "x-delivery-limit": int32(2)})
			big := amqp.Publishing{MessageId: "big", UserId: tt.user, DeliveryMode: amqp.Persistent, Headers: amqp.Table{"big": strings.Repeat("x", size)}}
			l.broker.Send(dead, append([]amqp.Publishing{big}, l.letters(20)...)...)
			l.eventually("all are there", func() bool { return l.broker.Ready(dead) == 21 })
			for range 2 {
				l.listed()
			}
			for range 6 {
				_, stderr, code := l.call("", "dead", "list", "-q", l.queue)
				if code != 0 {
					t.Fatalf("exit %d, stderr:\n%s", code, stderr)
				}
				if strings.Contains(stderr, "warning") && !strings.Contains(stderr, "could not be put into "+dead+" anew: big: its headers are more than can be sent; ") {
					t.Errorf("stderr:\n%s", stderr)
				}
			}
			if n := strings.Count(l.listed(), "\n"); n < 20 || !tt.lost && n < 21 {
				t.Errorf("%d of 21 are left", n)
			}
		})
	}
}

// TestDeadListKilled: a look that is killed brings one lot at most beyond the limit, and leaves one lot twice at most.
func TestDeadListKilled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dead := l.queue + ".dead"
	const many = 1000
	l.broker.Do(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(dead, true, false, false, false, amqp.Table{amqp.QueueTypeArg: "quorum", "x-delivery-limit": int32(2)})
		if err != nil {
			return err
		}
		if err := ch.Confirm(false); err != nil {
			return err
		}
		var last *amqp.DeferredConfirmation
		for _, p := range l.letters(many) {
			p.Body = append(p.Body, strings.Repeat(" ", 20<<10)...)
			if last, err = ch.PublishWithDeferredConfirm("", dead, true, false, p); err != nil {
				return err
			}
		}
		last.Wait()
		return nil
	})
	l.eventually("all are there", func() bool { return l.broker.Ready(dead) == many })
	const kills = 4
	for i := range kills {
		c := l.subcommand("dead", "list", "-q", l.queue)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		l.eventually("it takes some", func() bool { return l.held(dead) > 0 })
		time.Sleep(rand.N(time.Duration(i+1) * 20 * time.Millisecond)) // any moment
		c.Process.Kill()
		c.Wait()
		l.eventually("nobody holds any", func() bool { return l.held(dead) == 0 })
	}
	before := 0
	for same := 0; same < 10; same++ { // a quorum queue takes its time to return them
		if n := l.broker.Ready(dead); n != before {
			before, same = n, 0
		}
		time.Sleep(50 * time.Millisecond)
	}
	ids := make(map[string]int)
	for line := range strings.Lines(l.listed()) {
		ids[strings.Fields(line)[0]]++
	}
	t.Logf("after %d kills %d letters, of which %d are different", kills, before, len(ids))
	if len(ids) < many-(kills-2)*looksAtMost || before > many+kills*looksAtMost {
		t.Errorf("of %d letters %d are left, in %d copies", many, len(ids), before)
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%s is shown %d times", id, n)
		}
	}
	if n := l.broker.Ready(dead); n < len(ids) || n > before {
		t.Errorf("%d letters are there, want %d to %d", n, len(ids), before)
	}
}

// TestDeadDoubled: a letter that a killed look has left twice is shown once. Both stay until they are replayed or dropped:
// one may be the copy that another look has just made of the other. A letter that only has the mark of another is another.
func TestDeadDoubled(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t)
			dead := l.queue + ".dead"
			const many = 3 * looksAtFirst
			letters := l.letters(many)
			forged := l.letter("1", "another body")
			unmarked := amqp.Publishing{MessageId: "unmarked"}
			all := append(append(slices.Clone(letters), forged, unmarked, unmarked), letters...)
			for _, look := range []string{"list", "replay"} {
				l.bury(kind, all...)
				switch look {
				case "list":
					for range 2 { // held, and put anew
						ids := make(map[string]int)
						for line := range strings.Lines(l.listed()) {
							ids[strings.Fields(line)[0]]++
						}
						if len(ids) != many+1 || ids["0"] != 1 || ids["1"] != 2 || ids["unmarked"] != 2 {
							t.Errorf("listed: %v", ids)
						}
						if n := l.broker.Ready(dead); n != len(all) {
							t.Errorf("%d letters are left, want %d", n, len(all))
						}
					}
				case "replay":
					if out := l.succeeds("", "dead", "replay", "-q", l.queue, "0", "5"); out != "4 messages put back\n" {
						t.Errorf("stdout %q", out)
					}
					if got := bodies(l.broker.Take(l.queue)); len(got) != 4 {
						t.Errorf("back: %q", got)
					}
					if n := l.broker.Ready(dead); n != len(all)-4 {
						t.Errorf("%d letters are left, want %d", n, len(all)-4)
					}
				}
				l.succeeds("", "dead", "drop", "-q", l.queue, "--all", "--yes")
				if n := l.broker.Ready(dead); n != 0 {
					t.Errorf("%d letters are left behind drop --all", n)
				}
			}
		})
	}
}

func bodiesOf(letters []amqp.Publishing) (list []string) {
	for _, p := range letters {
		list = append(list, string(p.Body))
	}
	return list
}

// Where the broker serves another consumer only, that is said.
func TestDeadHeldBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dead := l.queue + ".dead"
	l.broker.Do(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(dead, true, false, false, false, amqp.Table{"x-single-active-consumer": true})
		if err != nil {
			return err
		}
		for _, p := range l.letters(3) {
			if err := ch.Publish("", dead, true, false, p); err != nil {
				return err
			}
		}
		if err := ch.Qos(1, 0, false); err != nil {
			return err
		}
		if _, err := ch.Consume(dead, "first", false, false, false, false, nil); err != nil {
			return err
		}
		l.eventually("one is taken", func() bool { return l.broker.Ready(dead) == 2 })
		stdout, stderr := l.fails(ui.ExitFailed, "", "dead", "list", "-q", l.queue)
		if stdout != "" || !strings.Contains(stderr, "the broker stopped delivering from "+dead+": 0 messages received, 2 left") || !strings.Contains(stderr, "another consumer of the queue is served first: stop it") {
			t.Errorf("stdout %q, stderr:\n%s", stdout, stderr)
		}
		return nil
	})
}

// What another consumer has is not said to be nowhere.
func TestDeadHeldByAnother(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.bury("classic", l.letters(2)...)
	tty := newPTY(t)
	c := l.subcommand("dead", "drop", "-q", l.queue, "1")
	c.Stdin, c.Stderr = tty.slave, tty.slave
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	tty.awaitText("for good? [y/N] ")
	stdout, stderr, code := l.call("", "dead", "list", "-q", l.queue)
	if code != 0 || stdout != "" || !strings.Contains(stderr, "warning: "+l.queue+".dead has 1 consumer") {
		t.Errorf("exit %d, stdout %q, stderr:\n%s", code, stdout, stderr)
	}

	// A connection that is lost meanwhile is not taken for the queue.
	brokertest.CloseConnections(t, "docker-dispatch dead@", l.queue)
	tty.typed("y\n")
	c.Wait()
	if n := strings.Count(l.listed(), "\n"); n != 2 {
		t.Errorf("%d are left", n)
	}
}

// replay puts messages back as they were, but for the mark of the copy; the others stay in order.
func TestDeadReplay(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t)
			letters := l.letters(5)
			letters[2].ReplyTo = "amq.rabbitmq.reply-to.g1h2"
			letters[3].MessageId = ""
			l.bury(kind, letters...)
			if out := l.succeeds("", "dead", "replay", "-q", l.queue, "1", "2", "COPY3"); out != "3 messages put back\n" {
				t.Errorf("stdout %q", out)
			}
			back := l.broker.Take(l.queue)
			if len(back) != 3 {
				t.Fatalf("%d are back", len(back))
			}
			for i, d := range back {
				p := letters[i+1]
				reply := "answers"
				if i == 1 {
					reply = ""
				}
				if string(d.Body) != string(p.Body) || d.MessageId != p.MessageId || d.CorrelationId != p.CorrelationId || d.ReplyTo != reply || d.Priority != 1 ||
					d.ContentType != p.ContentType || fmt.Sprint(d.Headers) != fmt.Sprintf("map[own:kept x-dispatch-copy:COPY%d]", i+1) {
					t.Errorf("back is %+v", d)
				}
			}
			_, stderr := l.fails(ui.ExitFailed, "", "dead", "replay", "-q", l.queue, "0", "nosuch")
			if !strings.Contains(stderr, "has the ID nosuch; nothing was done") {
				t.Errorf("stderr:\n%s", stderr)
			}
			if out := l.succeeds("", "dead", "replay", "-q", l.queue, "--all"); out != "2 messages put back\n" {
				t.Errorf("stdout %q", out)
			}
			if got := bodies(l.broker.Take(l.queue)); fmt.Sprint(got) != fmt.Sprint([]string{string(letters[0].Body), string(letters[4].Body)}) {
				t.Errorf("back: %q", got)
			}
			if n := l.broker.Ready(l.queue + ".dead"); n != 0 {
				t.Errorf("%d are left", n)
			}
		})
	}
}

// An ID is what list shows, also where it cannot show what it is.
func TestDeadIDs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	letters := l.letters(3)
	letters[0].MessageId, letters[1].MessageId, letters[2].MessageId = "\xe9\xff", "night  ly\x1b[31m", "a\nb"
	l.bury("classic", append(letters, amqp.Publishing{Body: []byte("nameless"), MessageId: ""})...)
	list := l.succeeds("", "dead", "list", "-q", l.queue)
	for i, shown := range []string{`\xe9\xff`, `night ly\x1b[31m`, `a\nb`} {
		if !strings.Contains(list, shown) {
			t.Errorf("%q is not shown as %s:\n%s", letters[i].MessageId, shown, list)
		}
		if out := l.succeeds("", "dead", "replay", "-q", l.queue, shown); out != "1 message put back\n" {
			t.Errorf("stdout %q", out)
		}
		if got := l.broker.Take(l.queue); len(got) != 1 || got[0].MessageId != letters[i].MessageId {
			t.Errorf("back: %q", bodies(got))
		}
	}
	if _, stderr := l.fails(ui.ExitFailed, "", "dead", "replay", "-q", l.queue, "-"); !strings.Contains(stderr, "has the ID -; nothing was done") {
		t.Errorf("stderr:\n%s", stderr)
	}
}

// What cannot be put back stays, and does not hold up the rest.
func TestDeadReplayNowhere(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	letters := l.letters(3)
	letters[1].Headers["x-dispatch-queue"] = l.queue + ".nosuch"
	l.bury("classic", letters...)
	stdout, stderr := l.fails(ui.ExitFailed, "", "dead", "replay", "-q", l.queue, "--all")
	if stdout != "2 messages put back\n" || !strings.Contains(stderr, "1: not put back onto "+l.queue+".nosuch: no such queue") || !strings.Contains(stderr, "1 message not put back; they are still in") {
		t.Errorf("stdout %q, stderr:\n%s", stdout, stderr)
	}
	if got := l.broker.Take(l.queue + ".dead"); len(got) != 1 || got[0].MessageId != "1" {
		t.Errorf("left: %q", bodies(got))
	}
	l.broker.Take(l.queue)

	// Where none can, it ends all the same.
	many := l.letters(3 * failsAtMost)
	for _, p := range many {
		p.Headers["x-dispatch-queue"] = l.queue + ".nosuch"
	}
	l.bury("classic", many...)
	l.fails(ui.ExitFailed, "", "dead", "replay", "-q", l.queue, "--all")
	if n := l.broker.Ready(l.queue + ".dead"); n != len(many) {
		t.Errorf("%d are left, want %d", n, len(many))
	}
}

// Killed at any moment, a replay has lost nothing.
func TestDeadReplayKilled(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const many = 1500
	l.bury("classic", l.letters(many)...)
	midway := 0
	for round := 0; l.broker.Ready(l.queue+".dead") > 0; round++ {
		before := l.broker.Ready(l.queue)
		c := l.subcommand("dead", "replay", "-q", l.queue, "--all")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if round < 6 {
			l.eventually("some are back", func() bool { return l.broker.Ready(l.queue) > before })
			time.Sleep(rand.N(20 * time.Millisecond)) // any moment
			c.Process.Kill()
		}
		c.Wait()
		// What the dead connection held comes back when the broker has noticed.
		l.eventually("nobody holds any", func() bool { return l.held(l.queue+".dead") == 0 })
		if n := l.broker.Ready(l.queue + ".dead"); n > 0 && n < many {
			midway++
		}
	}
	copies := map[string]int{}
	for _, d := range l.broker.Take(l.queue) {
		copies[d.MessageId]++
	}
	twice := 0
	for _, n := range copies {
		if n > 1 {
			twice++
		}
	}
	if len(copies) != many {
		t.Errorf("%d of %d are back", len(copies), many)
	}
	t.Logf("killed midway %d times; %d are there more than once", midway, twice)
	if midway == 0 {
		t.Error("never killed midway")
	}
}

// TestDeadDropInterrupted: a drop that is interrupted says how many it has deleted.
func TestDeadDropInterrupted(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const many = 8000
	l.bury("classic", l.letters(many)...)
	dead := l.queue + ".dead"
	for round := range 6 {
		before := l.broker.Ready(dead)
		c := l.subcommand("dead", "drop", "-q", l.queue, "--all", "--yes")
		var out strings.Builder
		c.Stdout = &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		interrupt := time.AfterFunc(time.Duration(round+1)*40*time.Millisecond, func() { c.Process.Signal(os.Interrupt) }) // any moment
		c.Wait()
		interrupt.Stop()
		l.eventually("nobody holds any", func() bool { return l.held(dead) == 0 })
		dropped := 0
		fmt.Sscanf(out.String(), "%d message", &dropped)
		if left := l.broker.Ready(dead); left != before-dropped {
			t.Errorf("stdout %q, and of %d letters %d are left", out.String(), before, left)
		}
	}
}

// held is how many messages of a queue some consumer has.
func (l *lab) held(queue string) (n int) {
	l.t.Helper()
	l.broker.Do(func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		n = q.Consumers
		return err
	})
	return n
}

// drop asks on a terminal, and takes only a yes for one.
func TestDeadDrop(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.bury("quorum", l.letters(5)...)
	for _, tt := range []struct {
		typed string
		args  []string
		code  int
		left  string
	}{
		{"n\n", []string{"1", "3"}, ui.ExitFailed, "01234"},
		{"\n", []string{"--all"}, ui.ExitFailed, "01234"},
		{"\x03", []string{"--all"}, ui.ExitFailed, "01234"}, // Ctrl-C
		{"y\n", []string{"1", "3"}, 0, "024"},
		{"", []string{"--yes", "2"}, 0, "04"},
		{"yes\n", []string{"--all"}, 0, ""},
	} {
		tty := newPTY(t)
		c := l.subcommand(append([]string{"dead", "drop", "-q", l.queue}, tt.args...)...)
		var stdout bytes.Buffer
		c.Stdin, c.Stdout, c.Stderr = tty.slave, &stdout, tty.slave
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if tt.typed != "" {
			tty.awaitText("for good? [y/N] ")
			if tt.typed == "\x03" {
				c.Process.Signal(os.Interrupt)
			} else {
				tty.typed(tt.typed)
			}
		}
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](c.Wait()); ok {
			code = exit.ExitCode()
		}
		if code != tt.code {
			t.Errorf("%q: exit %d, on the terminal %q, stdout %q", tt.args, code, tty.written(), stdout.String())
		}
		var left []string
		l.eventually("nobody holds any", func() bool { return l.held(l.queue+".dead") == 0 })
		for line := range strings.Lines(l.listed()) {
			left = append(left, strings.Fields(line)[0])
		}
		if got := strings.Join(slices.Compact(left), ""); got != tt.left {
			t.Errorf("%q: left are %q, want %q", tt.args, got, tt.left)
		}
	}
}

// listed is what list shows, without its head.
func (l *lab) listed() string {
	l.t.Helper()
	stdout, stderr, code := l.call("", "dead", "list", "-q", l.queue)
	if code != 0 {
		l.t.Fatalf("dead list: exit %d\n%s", code, stderr)
	}
	_, rest, _ := strings.Cut(stdout, "\n")
	return rest
}

// TestDeadLooksBeside: looks at one queue beside each other lose no letter.
func TestDeadLooksBeside(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dead := l.queue + ".dead"
	const many = 40
	l.bury("quorum", l.letters(many)...)
	l.listed() // from now on they are put anew
	for range 10 {
		var looks sync.WaitGroup
		for range 3 {
			looks.Go(func() { l.call("", "dead", "list", "-q", l.queue) })
		}
		looks.Wait()
		l.eventually("all letters are back", func() bool { return l.broker.Ready(dead) >= many })
	}
	ids := make(map[string]bool)
	for _, d := range l.broker.Take(l.queue + ".dead") {
		ids[d.MessageId] = true
	}
	if len(ids) != many {
		t.Errorf("%d letters are left, want %d", len(ids), many)
	}
}

// TestDeadQueues: a look shows all letters of a queue in which its copies overtake them by their priority, and of one that
// gives one consumer at a time everything.
func TestDeadQueues(t *testing.T) {
	t.Parallel()
	for _, args := range []amqp.Table{{"x-max-priority": 1}, {"x-single-active-consumer": true}, {"x-single-active-consumer": true, "x-queue-type": "quorum"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			l := newLab(t)
			const many = 60
			dead, letters := l.queue+".dead", l.letters(many)
			l.broker.DeclareWith(dead, args)
			for i := range letters {
				letters[i].Priority = uint8(i % 2)
			}
			l.broker.Send(dead, letters...)
			l.eventually("all are buried", func() bool { return l.broker.Ready(dead) == many })
			for range 2 {
				if n := strings.Count(l.listed(), "\n"); n != many {
					t.Errorf("%d letters are listed, want %d", n, many)
				}
			}
		})
	}
}
