package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// statuses asks with docker-dispatch ps until ok returns true.
func (l *lab) statuses(what string, ok func([]status.Status) bool) {
	l.t.Helper()
	l.eventually(what, func() bool {
		stdout, _, _ := l.call("", "ps", "-q", l.queue, "--format", "json")
		var all []status.Status
		for line := range strings.Lines(stdout) {
			var s status.Status
			if err := json.Unmarshal([]byte(line), &s); err != nil {
				l.t.Fatalf("%v: %s", err, line)
			}
			all = append(all, s)
		}
		return ok(all)
	})
}

// psInASecond returns what ps prints, once it has taken less than a second: the machine may be busy.
func (l *lab) psInASecond() (text string) {
	l.t.Helper()
	l.eventually("ps takes less than a second", func() bool {
		began := time.Now()
		text = l.succeeds("", "ps", "-q", l.queue)
		took := time.Since(began)
		l.t.Logf("ps took %v", took)
		return took < time.Second
	})
	return text
}

// TestPs: of two daemons one has all places taken, a full queue, and commands that hang; the engine of the other is away. Both
// answer within a second.
func TestPs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := "ps-" + l.serial
	l.publish(publication{"running\x1b[2J", `{"Dockercmd": "run", "Image": "busybox", "Cmd": ["sleep", "1000"], "Options": {"Name": "` + name + `", "Attach": ["STDOUT"], "Remove": true}}`})
	l.start("-c", "1", "--ahead", "1")
	l.statuses("the job runs", func(all []status.Status) bool {
		return len(all) == 1 && all[0].InUse == 1 && len(all[0].Running.Jobs) == 1 && all[0].Running.Jobs[0].Phase == "started"
	})
	var waits []amqp.Publishing
	for range 120 { // half of the control queue's places: no more may hang
		waits = append(waits, amqp.Publishing{Body: []byte(`{"Dockercmd": "wait", "Container": "` + name + `"}`)})
	}
	l.broker.Send(l.queue+".control", waits...)
	l.publish(publication{"bad", `{"Dockercmd": "none"}`})
	for i := range 20 {
		l.publish(publication{fmt.Sprint("queued", i), `{"Dockercmd": "run", "Image": "busybox"}`})
	}
	l.start("=unix:///nosuch.sock", "--control", "none")
	is := func(n *int, want int) bool { return n != nil && *n == want }
	l.statuses("both answer", func(all []status.Status) bool {
		if len(all) != 2 {
			return false
		}
		a, b := all[0], all[1]
		if !a.Ready {
			a, b = b, a
		}
		return a.Ready && !b.Ready && a.Running.Count == 121 && is(b.DeadLetters, 1) && is(b.Queued, 19) && a.Waiting.Count >= 1
	})
	text := l.psInASecond()
	for _, want := range []string{
		l.queue + ": 19 queued, 1 dead letter, ", "\nlongest running: running\\x1b[2J for ", "\noldest waiting: queued0, at ", " for ", "s, waits for a free place (--concurrency)\n", "\nHOST ", " 1/1 ", " 0/16 ", "not ready", " closed ", ": not ok: engine: ",
		"\nRunning: 121\n", `running\x1b[2J `, " started\n", "\nTaken, not begun: 1\n", "a free place (--concurrency)", "\nEnded ", "invalid-message",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	failed := l.succeeds("", "ps", "-q", l.queue, "--failed")
	for _, want := range []string{l.queue + ": 1 failed since the start of the daemon\n\n", "bad ", "refused", "in " + l.queue + ".dead\n", `unknown command "none"`} {
		if !strings.Contains(failed, want) {
			t.Errorf("no %q in:\n%s", want, failed)
		}
	}
}

// TestPsManyJobs: with a thousand jobs that run ps takes less than a second.
func TestPsManyJobs(t *testing.T) {
	t.Parallel()
	const many = 1000
	l := newLab(t)
	engine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.41")
		switch {
		case r.URL.Path == "/_ping":
		case strings.HasSuffix(r.URL.Path, "/json"):
			fmt.Fprint(w, `{"Id": "`+strings.Repeat("a", 64)+`", "State": {"Status": "running", "Running": true, "StartedAt": "2026-01-02T03:04:05Z"}, "Config": {}}`)
		case strings.HasSuffix(r.URL.Path, "/wait"):
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		default:
			http.NotFound(w, r)
		}
	}))
	defer engine.Close()
	var waits []amqp.Publishing
	for i := range many {
		waits = append(waits, amqp.Publishing{MessageId: fmt.Sprintf("a-job-with-quite-a-long-name-%d", i), Body: fmt.Appendf(nil, `{"Dockercmd": "wait", "Container": "a-container-with-a-long-name-%d"}`, i)})
	}
	l.broker.Send(l.queue, waits...)
	p := l.start("="+engine.Listener.Addr().String(), "-c", fmt.Sprint(many), "--ahead", fmt.Sprint(many+10), "--control", "none", "--drain", "0s")
	l.statuses("all run", func(all []status.Status) bool { return len(all) == 1 && all[0].Running.Count == many })
	if text := l.psInASecond(); strings.Count(text, "\n") < many {
		t.Errorf("%d lines", strings.Count(text, "\n"))
	}
	p.stop()
}

// TestPsNobody: if no daemon answers, ps says what is there instead.
func TestPsNobody(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if _, errs := l.fails(ui.ExitFailed, "", "ps", "-q", l.queue+"x"); !strings.Contains(errs, "no such queue") {
		t.Error(errs)
	}
	l.publish(publication{"", "x"})
	if _, errs := l.fails(ui.ExitFailed, "", "ps", "-q", l.queue); !strings.Contains(errs, "no daemon answers for "+l.queue+": the queue has 1 message and no consumer\nhint: start a daemon") {
		t.Error(errs)
	}
	other, err := l.broker.Conn().Channel()
	if err == nil {
		_, err = other.Consume(l.queue, "", false, false, false, false, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, errs := l.fails(ui.ExitFailed, "", "ps", "-q", l.queue); !strings.Contains(errs, "0 messages and 1 consumer\n") {
		t.Error(errs)
	}
	l.start()
	l.statuses("the daemon answers", func(all []status.Status) bool { return len(all) == 1 })
	began := time.Now()
	if out := l.succeeds("", "ps", "-q", l.queue, "--wait", "1s"); !strings.Contains(out, "\n2 consumers, 1 answered: ") || time.Since(began) < time.Second {
		t.Errorf("after %v: %s", time.Since(began), out)
	}
	out, errs, code := l.call("", "ps", "-q", l.queue, "--wait", "1s", "--format", "json")
	if code != 0 || !strings.Contains(errs, "warning: 2 consumers, 1 answered: ") || strings.Count(out, "\n") != 1 {
		t.Errorf("exit %d, %q, %s", code, out, errs)
	}
}

// TestPsImpostor: ps outlives whatever somebody answers in a daemon's stead, and a terminal does too.
func TestPsImpostor(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := l.queue + ".impostor"
	t.Cleanup(func() { l.broker.Delete(name) })
	l.broker.Declare(name, "classic")
	l.broker.Do(func(ch *amqp.Channel) error {
		return ch.QueueBind(name, wire.QuestionKey(l.queue), wire.QuestionExchange, false, nil)
	})
	ch, err := l.broker.Conn().Channel()
	if err != nil {
		t.Fatal(err)
	}
	questions, err := ch.Consume(name, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for q := range questions {
			bodies := [][]byte{make([]byte, 8<<20), []byte(strings.Repeat("[", 100000)), []byte("null"), []byte(`{"Queue": 7}`)}
			for range 200 {
				bodies = append(bodies, fmt.Appendf(nil, `{"Queue": %q, "Host": "\u001b[2J\u202e%s", "PerMinute": 1e308, "Queued": -9, "Running": {"Count": -3, "Jobs": [{"Job": "\r\nroot# "}]}}`, l.queue, strings.Repeat("x", 100000)))
			}
			for i, body := range bodies {
				_ = ch.Publish("", q.ReplyTo, false, false, amqp.Publishing{CorrelationId: q.CorrelationId, Body: body})
				_ = ch.Publish("", q.ReplyTo, false, false, amqp.Publishing{CorrelationId: fmt.Sprint(i), Body: body})
			}
		}
	}()
	for _, args := range [][]string{{}, {"--failed"}, {"--format", "json"}} {
		out, errs, code := l.call("", append([]string{"ps", "-q", l.queue, "--wait", "1m"}, args...)...)
		if code != 0 || strings.ContainsAny(out+errs, "\x1b\r") || len(out) > 1<<20 {
			t.Errorf("%q: exit %d, %.2000q, %s", args, code, out, errs)
		}
	}
}

// TestPsWatch: on a terminal the answers are drawn in place, and the terminal is restored. Elsewhere they come in blocks.
func TestPsWatch(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.start("--control", "none")
	l.statuses("the daemon answers", func(all []status.Status) bool { return len(all) == 1 })
	tty := newPTY(t)
	c := l.subcommand("ps", "-q", l.queue, "--watch", "100ms", "--wait", "300ms")
	c.Stdout, c.Stderr = tty.slave, tty.slave
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	c.ExtraFiles = []*os.File{tty.slave}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	count := func(text string) int { return strings.Count(tty.written(), text) }
	tty.await("drawn three times, in colour", func(string) bool { return count("\x1b[H") >= 3 && count("\x1b[32mready\x1b[39m") >= 3 })
	if code := d.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	tty.awaitText("error: no daemon answers for " + l.queue)
	l.start("--control", "none")
	before := count("\x1b[32mready")
	tty.await("the next daemon answers", func(string) bool { return count("\x1b[32mready") > before })
	tty.typed("\x03")
	if err := c.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	tty.await("restored", func(string) bool { return strings.HasSuffix(tty.written(), "\x1b[?25h\x1b[?1049l") })
	if !strings.HasPrefix(tty.written(), "\x1b[?1049h\x1b[?25l\x1b[H"+l.queue+": ") {
		t.Errorf("it begins with %.100q", tty.written())
	}

	c = l.subcommand("ps", "-q", l.queue)
	c.Env = append(c.Env, "NO_COLOR=1")
	plain := newPTY(t)
	c.Stdout = plain.slave
	if err := c.Run(); err != nil || strings.Contains(plain.written(), "\x1b") {
		t.Errorf("with NO_COLOR: %v, %q", err, plain.written())
	}

	p := l.startExactly(l.subcommand("ps", "-q", l.queue, "--watch=100ms"))
	p.await("three blocks", func(stdout, _ string) bool { return strings.Count(stdout, "\n"+l.queue+": ") >= 3 })
	p.cmd.Process.Signal(os.Interrupt)
	if code := p.wait(); code != 0 || strings.Contains(p.out(), "\x1b") || p.log() != "" {
		t.Errorf("exit %d, %q, %s", code, p.out(), p.log())
	}
}

// TestPsDuringAlarm: a broker that is short of memory passes no question on. ps says so, and the daemon answers after it.
func TestPsDuringAlarm(t *testing.T) {
	brokertest.Disturbs(t)
	l := newLab(t)
	l.start()
	l.statuses("the daemon answers", func(all []status.Status) bool { return len(all) == 1 })
	const back = "vm_memory_monitor:set_vm_memory_high_watermark(0.4)"
	brokertest.Change(t, "vm_memory_monitor:set_vm_memory_high_watermark(0.00001)", back)
	began := time.Now()
	_, errs := l.fails(ui.ExitFailed, "", "ps", "-q", l.queue)
	if took := time.Since(began); took > 10*time.Second || !strings.Contains(errs, "docker-dispatch: error: the daemons of "+l.queue+" cannot be asked: the broker takes no messages\nhint: ") {
		t.Errorf("after %v: %s", took, errs)
	}
	brokertest.Eval(t, "%s", back)
	l.statuses("it answers again", func(all []status.Status) bool { return len(all) == 1 })
}
