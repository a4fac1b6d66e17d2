package main

import (
	"testing"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// TestQueueDeletedUnderJob: who waits for an answer gets it though the job's message is gone with its queue.
func TestQueueDeletedUnderJob(t *testing.T) { queueDeletedUnderJob(t, false) }

// TestQueueMadeAnewUnderJob: so it is where there is a new queue of the name.
func TestQueueMadeAnewUnderJob(t *testing.T) { queueDeletedUnderJob(t, true) }

func queueDeletedUnderJob(t *testing.T, anew bool) {
	t.Parallel()
	l := newLab(t)
	p := l.start()
	c := newCaller(l, false)
	c.call("one", "", streamed("echo begun; sleep 5; exit 7"))
	if _, e := c.event(); e.Started == nil {
		t.Fatalf("%+v", e)
	}
	deleted := time.Now()
	l.deleteQueues("")
	p.awaitLog("no such queue")
	if anew {
		l.broker.DeclareWith(l.queue, nil)
	}
	_, _, _, r := c.stream(func(int) {})
	if r.Job != "one" || r.Status != event.Failed || r.ExitCode == nil || *r.ExitCode != 7 {
		t.Errorf("%+v", r)
	}
	if took := time.Since(deleted); took < time.Minute {
		t.Errorf("answered after %v: the message could have come again", took)
	}
	p.awaitLog("the message is gone")
	if anew { // the queue goes on, and the container is not left
		c.call("two", "", streamed("exit 3"))
		if _, _, _, r := c.stream(func(int) {}); r.Job != "two" || r.ExitCode == nil || *r.ExitCode != 3 {
			t.Errorf("%+v", r)
		}
		l.eventually("no containers", func() bool { return len(l.containers()) == 0 })
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}
