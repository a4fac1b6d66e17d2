package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// A caller sends messages and gets the answers to them.
type caller struct {
	l       *lab
	conn    *amqp.Connection
	ch      *amqp.Channel
	replyTo string
	answers <-chan amqp.Delivery
}

// newCaller returns a caller with a queue for its answers of its own; or with a direct reply-to.
func newCaller(l *lab, direct bool) *caller {
	l.t.Helper()
	c := &caller{l: l, replyTo: "amq.rabbitmq.reply-to"}
	var err error
	check := func() {
		l.t.Helper()
		if err != nil {
			l.t.Fatal(err)
		}
	}
	c.conn, err = amqp.Dial(l.amqpURL)
	check()
	l.t.Cleanup(func() { c.conn.Close() })
	c.ch, err = c.conn.Channel()
	check()
	if !direct {
		c.replyTo = l.queue + "-answers"
		_, err = c.ch.QueueDeclare(c.replyTo, true, false, false, false, amqp.Table{"x-expires": int32(120_000)})
		check()
	}
	c.answers, err = c.ch.Consume(c.replyTo, "", true, false, false, false, nil)
	check()
	err = c.ch.Confirm(false)
	check()
	return c
}

// call publishes a message.
func (c *caller) call(id, correlation, body string) {
	c.l.t.Helper()
	dc, err := c.ch.PublishWithDeferredConfirm("", c.l.queue, true, false, amqp.Publishing{
		MessageId: id, CorrelationId: correlation, ReplyTo: c.replyTo, DeliveryMode: amqp.Persistent, Body: []byte(body),
	})
	if err != nil || !dc.Wait() {
		c.l.t.Fatalf("not published: %v", err)
	}
}

// event waits for the next answer.
func (c *caller) event() (amqp.Delivery, event.Event) {
	c.l.t.Helper()
	select {
	case d, ok := <-c.answers:
		if !ok {
			c.l.t.Fatal("connection lost")
		}
		e, err := event.Decode(d.Body)
		if err != nil {
			c.l.t.Fatalf("%v: %q", err, d.Body)
		}
		return d, e
	case <-time.After(patience):
		c.l.t.Fatal("no answer")
	}
	panic("unreachable")
}

// result waits for the next answer, which must be a result.
func (c *caller) result() event.Result {
	c.l.t.Helper()
	d, e := c.event()
	if e.Result == nil || d.Type != "result" {
		c.l.t.Fatalf("not a result: %s %s", d.Type, d.Body)
	}
	return *e.Result
}

// stream takes all events of a job up to its result, and returns what came of each stream. It calls got with how
// much that is so far. What has come before may come again.
func (c *caller) stream(got func(n int)) (stdout, stderr string, started int, r event.Result) {
	c.l.t.Helper()
	out := map[string][]byte{}
	for {
		_, e := c.event()
		switch {
		case e.Started != nil:
			started++
		case e.Output != nil:
			have := out[e.Output.Stream]
			at := int(e.Output.Offset)
			if at > len(have) {
				continue // beyond a gap: it comes again
			}
			if end := at + len(e.Output.Data); end > len(have) {
				out[e.Output.Stream] = append(have[:at], e.Output.Data...)
			}
			got(len(out["stdout"]) + len(out["stderr"]))
		default:
			return string(out["stdout"]), string(out["stderr"]), started, *e.Result
		}
	}
}

func streamed(script string) string {
	body, err := json.Marshal(map[string]any{
		"Dockercmd": "run", "Stream": true, "Image": "busybox", "Cmd": []string{"sh", "-c", script},
		"Options": map[string]any{"Attach": []string{"STDOUT", "STDERR"}, "Remove": true, "Network": quickNetwork},
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// TestReply: whoever asks for the result gets it, before the message is settled, whatever became of it.
func TestReply(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprintf("direct %v", direct), func(t *testing.T) {
			l := newLab(t)
			p := l.start()
			c := newCaller(l, direct)
			c.call("one", "", `{"Dockercmd": "run", "Image": "busybox", "Cmd": ["sh", "-c", "echo hi; exit 7"], "Options": {"Attach": "STDOUT", "Remove": true}}`)
			d, e := c.event()
			if r := e.Result; r == nil || r.Job != "one" || r.Status != event.Failed || r.ExitCode == nil || *r.ExitCode != 7 || r.Stdout != "hi\n" || r.StdoutBytes != 3 {
				t.Fatalf("%s", d.Body)
			}
			if d.CorrelationId != "one" || d.MessageId != "one/result" || d.ContentType != "application/json" || d.DeliveryMode != amqp.Persistent || d.AppId != "docker-dispatch" {
				t.Errorf("properties %+v", d)
			}
			c.call("", "typo", `{"Dockercmd": "run", "Image": "busybox", "Optoins": {}}`)
			d, e = c.event()
			if r := e.Result; r == nil || r.Status != event.Refused || !strings.Contains(r.Error, `did you mean "Options"`) || d.CorrelationId != "typo" {
				t.Errorf("%s", d.Body)
			}
			// Somebody waits for the end: it is a foreground run.
			c.call("", "c", `{"Dockercmd": "run", "Image": "busybox", "Cmd": ["sh", "-c", "sleep 0.2; exit 3"], "Options": {"Name": "`+l.queue+`"}}`)
			if r := c.result(); r.ExitCode == nil || *r.ExitCode != 3 {
				t.Errorf("%+v", r)
			}
			c.call("", "c", `{"Dockercmd": "remove", "Container": "`+l.queue+`"}`)
			if r := c.result(); r.Command != "remove" || r.Status != event.Succeeded {
				t.Errorf("%+v", r)
			}
			if code := p.stop(); code != 0 || l.broker.Ready(l.queue) != 0 || l.broker.Ready(l.queue+".dead") != 1 {
				t.Errorf("exit %d, %d messages left, %d dead", code, l.broker.Ready(l.queue), l.broker.Ready(l.queue+".dead"))
			}
		})
	}
}

// TestReplyToNobody: an answer that nobody takes does not hold up the job; and nobody can have answers taken for messages.
func TestReplyToNobody(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("--format", "json")
	c := newCaller(l, false)
	for i, to := range []string{"nowhere-" + l.queue, "amq.rabbitmq.reply-to.g1h2AAA", l.queue, l.queue + ".dead", l.queue + ".retry.10"} {
		c.replyTo = to
		c.call(fmt.Sprint(i), "", streamed("echo hi"))
	}
	p.done(5)
	p.awaitLog("reply dropped")
	statuses := map[string]event.Result{}
	for _, r := range p.results() {
		statuses[r.Job] = r
	}
	for i, want := range []event.Status{event.Succeeded, event.Succeeded, event.Refused, event.Refused, event.Refused} {
		if got := statuses[fmt.Sprint(i)]; got.Status != want || want == event.Refused && !strings.Contains(got.Error, "reply_to") {
			t.Errorf("%d: %+v", i, got)
		}
	}
	l.eventually("all settled", func() bool { return l.broker.Ready(l.queue+".dead") == 3 && len(l.containers()) == 0 })
	if code := p.stop(); code != 0 || l.broker.Ready(l.queue) != 0 {
		t.Errorf("exit %d, %d messages left", code, l.broker.Ready(l.queue))
	}
}

// TestStream: output comes as it is written, in pieces that say where they belong, and the result behind it.
func TestStream(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprintf("direct %v", direct), func(t *testing.T) {
			l := newLab(t)
			p := l.start()
			c := newCaller(l, direct)
			c.call("slow", "", streamed("printf half; sleep 5; echo no"))
			if _, e := c.event(); e.Started == nil || e.Started.Job != "slow" || e.Started.ContainerID == "" {
				t.Fatalf("%+v", e)
			}
			d, e := c.event() // at once, though the line has no end
			if e.Output == nil || e.Output.Stream != "stdout" || e.Output.Offset != 0 || string(e.Output.Data) != "half" || d.Type != "output" || d.MessageId != "slow/output/stdout/0" || d.CorrelationId != "slow" {
				t.Errorf("%s %+v", d.Body, d)
			}
			const size = 512 << 10
			c.call("large", "", streamed(fmt.Sprintf("head -c %d /dev/zero; printf '\\377oops' >&2; exit 4", size)))
			var large, last event.Result
			out := map[string]int{}
			for large.Job == "" || last.Job == "" {
				d, e := c.event()
				switch {
				case e.Output != nil:
					if len(e.Output.Data) > event.MaxData || out[e.Output.Job+e.Output.Stream] != int(e.Output.Offset) && e.Output.Job == "large" {
						t.Fatalf("%d bytes at %d", len(e.Output.Data), e.Output.Offset)
					}
					out[e.Output.Job+e.Output.Stream] += len(e.Output.Data)
				case e.Result != nil && e.Result.Job == "large":
					large = *e.Result
					if out["largestdout"] != size || out["largestderr"] != 5 || d.MessageId != "large/result" {
						t.Errorf("the result came behind %v", out)
					}
				case e.Result != nil:
					last = *e.Result
				}
			}
			if large.ExitCode == nil || *large.ExitCode != 4 || large.StdoutBytes != size || large.Incomplete {
				t.Errorf("%+v", large)
			}
			p.stop()
		})
	}
}

// TestStreamAcrossRestart: what comes when the daemon is killed and started again is the whole output.
func TestStreamAcrossRestart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("-v")
	c := newCaller(l, false)
	const lines = 4000
	c.call("long", "", streamed(fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo line $i; i=$((i+1)); [ $((i%%100)) = 0 ] && sleep 0.1; done; exit 9", lines)))
	var want strings.Builder
	for i := range lines {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	killed := false
	stdout, _, started, r := c.stream(func(n int) {
		if n > 2000 && !killed {
			killed = true
			p.cmd.Process.Kill()
			<-p.exited
			p = l.start("-v")
		}
	})
	if stdout != want.String() || started != 2 || r.ExitCode == nil || *r.ExitCode != 9 || !r.Adopted || int(r.StdoutBytes) != want.Len() {
		t.Errorf("%d bytes, want %d; started %d times; %+v", len(stdout), want.Len(), started, r)
	}
	p.stop()
}

// TestStreamReconnects: the connections to the broker are cut again and again, and nothing is missing.
func TestStreamReconnects(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	proxy, through := l.proxied(t)
	p := l.start("-v", "="+l.dockerHost, "="+through)
	c := newCaller(l, false)
	const size = 1 << 20
	c.call("cut", "", streamed(fmt.Sprintf("for i in 1 2 3 4 5; do yes 0123456789abcde | head -c %d; sleep 0.3; done; echo end >&2", size/5)))
	cuts := 0
	stdout, stderr, _, r := c.stream(func(n int) {
		if cuts < 4 && n > (cuts+1)*size/5 {
			proxy.Cut()
			cuts++
		}
	})
	if cuts != 4 || len(stdout) != int(r.StdoutBytes) || strings.Count(stdout, "0123456789abcde\n") != len(stdout)/16 || stderr != "end\n" || r.Incomplete {
		t.Errorf("%d cuts, %d bytes of %d, %d lines, stderr %q, incomplete %v", cuts, len(stdout), r.StdoutBytes, strings.Count(stdout, "0123456789abcde\n"), stderr, r.Incomplete)
	}
	p.stop()
}

// TestResults: the results queue gets all results; while it is gone no messages are taken, and nothing is lost.
func TestResults(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	results := l.queue + ".results"
	p := l.start("--results", results)
	if code := p.wait(); code != 2 || !strings.Contains(p.log(), "hint: create the queue that --results names") {
		t.Fatalf("exit %d: %s", code, p.log())
	}
	create := func() {
		l.broker.DeclareWith(results, nil)
	}
	create()
	t.Cleanup(func() { l.deleteQueues(".results") })
	p = l.start("--results", results, "-c", "1", "--ahead", "0")
	l.publish(publication{"a", streamed("exit 1")}, publication{"b", "nonsense"})
	l.eventually("two results", func() bool { return l.broker.Ready(results) == 2 })
	l.deleteQueues(".results")
	l.publish(publication{"c", streamed("exit 1")}, publication{"d", streamed("exit 1")})
	p.awaitLog("results cannot be stored; no messages are taken until they can")
	create()
	p.awaitLog("results can be stored again")
	l.eventually("two results", func() bool {
		return l.broker.Ready(results) == 2 && l.broker.Ready(l.queue) == 0 && len(l.containers()) == 0
	})
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestReplyOfAttempts: each attempt of a job has a result, and the last one says so by its id.
func TestReplyOfAttempts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start()
	defer l.deleteQueues(".retry.1")
	c := newCaller(l, false)
	c.call("again", "corr", `{"Dockercmd": "run", "Stream": true, "Image": "busybox", "Cmd": ["sh", "-c", "echo $DISPATCH_ATTEMPT; exit 75"],
		"Options": {"Attach": "STDOUT", "Remove": true, "Retry": {"Max": 1, "Delay": "1s", "On": [75]}}}`)
	var got []string
	for {
		d, e := c.event()
		if d.CorrelationId != "corr" {
			t.Errorf("correlation_id %q", d.CorrelationId)
		}
		got = append(got, d.MessageId)
		if e.Result != nil && !e.Result.Retrying {
			break
		}
	}
	want := "again/started/1 again/output/1/stdout/0 again/result/1 again/started/2 again/output/2/stdout/0 again/result"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	p.stop()
}

// TestReplyToMalformed: a direct reply-to that is none, over which the broker ends the connection, is given up.
func TestReplyToMalformed(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start()
	c := newCaller(l, false)
	good := c.replyTo
	c.replyTo = "amq.rabbitmq.reply-to.@@@.x"
	c.call("bad", "", streamed("echo hi"))
	p.awaitLog("reply dropped")
	c.replyTo = good
	c.call("good", "", streamed("echo hi"))
	if stdout, _, _, r := c.stream(func(int) {}); stdout != "hi\n" || r.Job != "good" {
		t.Errorf("%q %+v", stdout, r)
	}
	l.eventually("all settled", func() bool { return l.broker.Ready(l.queue) == 0 && len(l.containers()) == 0 })
	if code := p.stop(); code != 0 || l.broker.Ready(l.queue) != 0 {
		t.Errorf("exit %d, %d messages left", code, l.broker.Ready(l.queue))
	}
}
