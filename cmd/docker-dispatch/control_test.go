package main

import (
	"fmt"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// command publishes a command to the control queue.
func (c *caller) command(body string) {
	c.l.t.Helper()
	dc, err := c.ch.PublishWithDeferredConfirm("", c.l.queue+".control", true, false, amqp.Publishing{
		CorrelationId: body, ReplyTo: c.replyTo, DeliveryMode: amqp.Persistent, Body: []byte(body),
	})
	if err != nil || !dc.Wait() {
		c.l.t.Fatalf("not published: %v", err)
	}
}

// TestControlQueue: while runs wait for their turn, a command on the control queue does not.
func TestControlQueue(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.start("-c", "1", "--ahead", "1")
	c := newCaller(l, false)
	for i := range 4 {
		c.call(fmt.Sprint("run-", i), "", streamed("echo begun; sleep 60 & wait"))
	}
	if _, e := c.event(); e.Started == nil || e.Started.Job != "run-0" {
		t.Fatalf("%+v", e)
	}
	c.event() // its output: what comes now are results
	c.command(`{"Dockercmd": "kill", "Job": "run-1"}`)
	got := map[string]event.Result{}
	take := func(n int) {
		t.Helper()
		for n > 0 {
			if d, e := c.event(); e.Result != nil {
				got[e.Result.Job] = *e.Result
				got[d.CorrelationId] = *e.Result
				n--
			}
		}
	}
	take(2)
	if r := got["run-1"]; r.Status != event.Refused || r.Reason != event.ReasonCancelled {
		t.Errorf("run-1: %+v", r)
	}
	c.command(`{"Dockercmd": "kill", "Job": "run-3"}`) // the broker has it still
	take(1)
	if r := got[`{"Dockercmd": "kill", "Job": "run-3"}`]; r.Reason != event.ReasonNoSuchContainer || !strings.Contains(r.Error, "if its message comes within") {
		t.Errorf("%+v", r)
	}
	c.command(`{"Dockercmd": "logs", "Job": "run-0"}`)
	take(1)
	if r := got[`{"Dockercmd": "logs", "Job": "run-0"}`]; r.Stdout != "begun\n" {
		t.Errorf("%+v", r)
	}
	c.command(`{"Dockercmd": "kill", "Job": "run-0"}`)
	take(2)
	c.command(`{"Dockercmd": "kill", "Job": "run-2"}`)
	take(3) // run-2, its kill, and run-3, which is refused
	if r := got["run-3"]; r.Reason != event.ReasonCancelled {
		t.Errorf("run-3: %+v", r)
	}
	if r := got["run-2"]; r.Reason != event.ReasonCancelled && (r.ExitCode == nil || *r.ExitCode != 137) {
		t.Errorf("run-2: %+v", r)
	}
	c.command(`{"Dockercmd": "run", "Image": "busybox"}`)
	take(1)
	l.eventually("all settled", func() bool {
		return l.broker.Ready(l.queue) == 0 && l.broker.Ready(l.queue+".dead") == 1 && len(l.containers()) == 0
	})
	if d := l.broker.Take(l.queue + ".dead")[0]; d.Headers["x-dispatch-queue"] != l.queue+".control" || !strings.Contains(fmt.Sprint(d.Headers["x-dispatch-error"]), "not accepted on the control queue") {
		t.Errorf("dead letter %v", d.Headers)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestStopsComeFirst: a daemon that finds runs and their stops in its queues at the start does not start those runs.
func TestStopsComeFirst(t *testing.T) {
	t.Parallel()
	l := newLab(t, "quorum")
	l.broker.Declare(l.queue+".control", "classic")
	const n = 20
	for i := range n {
		id := fmt.Sprintf("%s-%d", l.serial, i)
		l.publish(publication{id, runMessage("", "echo started")})
		l.broker.Send(l.queue+".control", amqp.Publishing{Body: []byte(`{"Dockercmd": "stop", "Job": "` + id + `"}`)})
	}
	p := l.start()
	p.done(2 * n)
	if strings.Contains(p.log(), `msg="container started"`) {
		t.Errorf("a run was started: %s", p.out())
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestControlQueueForbidden: a user who may not make the control queue is told what to do.
func TestControlQueueForbidden(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	user := brokertest.NewUser(t)
	user.Permit("^"+l.queue+`\.dead$`, ".*", "^"+l.queue+"$")
	url := user.URL(brokertest.Password)
	p := l.start("="+l.dockerHost, "="+url)
	if code := p.wait(); code != 2 || !strings.Contains(p.log(), "--control none does without") {
		t.Errorf("exit %d: %s", code, p.log())
	}
	p = l.start("--control", "none", "="+l.dockerHost, "="+url)
	p.awaitLog("taking messages")
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}
