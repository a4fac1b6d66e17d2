package amqpsrc

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/brokertest"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/claims"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// forward forwards a job of the rig to the host that has the claim of id, up to the ack, as that of a run.
func (r *rig) forward(j intake.Job, id string) {
	r.t.Helper()
	to := r.claim(id)
	if to == nil {
		r.t.Fatalf("no other host has %q", id)
	}
	if err := j.Forward(soon(r.t), *to, id, false); err != nil {
		r.t.Fatalf("forward to %+v: %v", to, err)
	}
}

// moved settles a job that is forwarded, and tells its new host.
func (r *rig) moved(j intake.Job) {
	r.t.Helper()
	settle(r.t, j, intake.Forward)
	if err := j.Fence(soon(r.t)); err != nil {
		r.t.Fatal(err)
	}
	if err := j.Moved(soon(r.t)); err != nil {
		r.t.Fatal(err)
	}
}

// original reports whether the original of a forwarded job counts as acked.
func original(j intake.Job) (acked bool) {
	select {
	case <-j.Forwarded.Acked:
		return true
	default:
		return false
	}
}

// awaitOriginal waits until the original of a forwarded job is acked.
func awaitOriginal(t testing.TB, j intake.Job) {
	t.Helper()
	select {
	case <-j.Forwarded.Acked:
	case <-time.After(patience):
		t.Fatalf("the note of %q does not come", j.Body)
	}
}

// TestNoteAfterClaim: the note reaches the host although the claim is deleted, because the job has ended there.
func TestNoteAfterClaim(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	a, b := startHost(t, p, q, "a", noRoom), startHost(t, p, q, "b", nil)
	a.claim("m")
	p.Send(q, amqp.Publishing{MessageId: "m", Body: []byte("remove")})
	j := b.next()
	to := b.claim("m")
	b.forward(j, "m")
	f := a.next()
	p.Do(func(ch *amqp.Channel) error { return ch.ExchangeDelete(to.Address, false, false) }) // ifUnused, noWait
	b.moved(j)
	awaitOriginal(t, f)
	settle(t, f, intake.Ack)
}

// TestForwardedJob: a job goes to the host that has its claim with all that matters of it, and a note follows it.
func TestForwardedJob(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := brokertest.New(t)
			q := p.Queue(kind)
			a, b := startHost(t, p, q, "a", noRoom), startHost(t, p, q, "b", nil)
			for _, id := range []string{"m", "shown", "copied"} {
				if other := a.claim(id); other != nil {
					t.Fatalf("%q is claimed by %+v", id, other)
				}
			}
			stamp := time.Now().Truncate(time.Second)
			p.Send(q, amqp.Publishing{MessageId: "m", Body: []byte("whole"), UserId: mustUser(t), CorrelationId: "c", ReplyTo: "answers", Timestamp: stamp,
				Headers: amqp.Table{wire.HeaderCopy: "replayed", wire.HeaderAttempt: int32(3)}},
				amqp.Publishing{Body: []byte("anonymous")},
				amqp.Publishing{Body: []byte("copied"), Headers: amqp.Table{wire.HeaderCopy: "mark"}})
			var got []intake.Job
			for i, j := range b.take("whole", "anonymous", "copied") {
				b.forward(j, []string{"m", "shown", "copied"}[i])
				f := a.next()
				if original(f) {
					t.Errorf("the original of %q counts as acked before it is", f.Body)
				}
				b.moved(j)
				awaitOriginal(t, f)
				if f.Forwarded.Hops != 1 || f.Redelivered || f.Control || f.Queue != q || f.Place != j.Place {
					t.Errorf("the job is %+v of %+v", f, f.Forwarded)
				}
				got = append(got, f)
			}
			if f := got[0]; f.MessageID != "m" || f.Copy != "replayed" || f.Attempt != 3 || f.User != mustUser(t) || f.ReplyTo != "answers\x00c" || !f.Published.Equal(stamp) {
				t.Errorf("the whole one is %+v", f)
			}
			if f := got[1]; f.MessageID != "shown" || f.Copy != "" || f.Attempt != 1 || f.User != "" {
				t.Errorf("the anonymous one is %+v", f)
			}
			if f := got[2]; f.MessageID != "" || f.Copy != "mark" {
				t.Errorf("the copied one is %+v", f) // it is known by its mark on each host
			}
			for _, f := range got {
				settle(t, f, intake.Ack)
				if err := f.Fence(soon(t)); err != nil {
					t.Error(err)
				}
			}
			for _, r := range []*rig{a, b} {
				if err := r.end(); err != nil {
					t.Error(err)
				}
			}
			a.close()
			p.Expect(claims.HostQueue(q, "a")) // no note is left either
			p.Expect(q)
		})
	}
}

// TestForwardedControl: a command of the control queue is one for its new host too, and its dead letter goes back there. The answer
// goes to a direct reply-to.
func TestForwardedControl(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	control, elsewhere := p.Name(), p.Name()
	a := startHost(t, p, q, "a", func(c *Config) { c.Control = elsewhere; noRoom(c) })
	b := startHost(t, p, q, "b", func(c *Config) { c.Control = control })
	a.claim("stop")
	asker := brokertest.New(t)
	answers, err := asker.Channel().Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Declare(control, "classic")
	asker.Send(control, amqp.Publishing{MessageId: "stop", Body: []byte("stop"), ReplyTo: "amq.rabbitmq.reply-to"})
	j := <-b.control
	b.forward(j, "stop")
	b.moved(j)
	f := a.next()
	if !f.Control || f.Queue != q || f.Reply == nil {
		t.Fatalf("the command is %+v", f)
	}
	if err := f.Reply(soon(t), event.Result{Job: "stop", Status: event.Failed}); err != nil {
		t.Error(err)
	}
	select {
	case d := <-answers:
		if !strings.Contains(string(d.Body), "stop") {
			t.Errorf("the answer is %s", d.Body)
		}
	case <-time.After(patience):
		t.Fatal("no answer")
	}
	settle(t, f, intake.DeadLetter)
	if d := p.Expect(q+".dead", "stop")[0]; d.Headers[wire.HeaderQueue] != elsewhere {
		t.Errorf("the dead letter is of queue %v", d.Headers[wire.HeaderQueue])
	}
}

// TestForwardedPastRuns: however many copies of runs wait for a place at a host, a command that needs none comes through. So does its
// note, and those of the runs.
func TestForwardedPastRuns(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	a, b := startHost(t, p, q, "a", noRoom), startHost(t, p, q, "b", func(c *Config) { c.Prefetch = 2000 })
	a.claim("m")
	const runs = 1200
	var sent []amqp.Publishing
	for range runs {
		sent = append(sent, amqp.Publishing{Body: []byte("run")})
	}
	p.Send(q, append(sent, amqp.Publishing{Body: []byte("stop")})...)
	commands, waiting := make(chan intake.Job, 1), make(chan intake.Job, runs)
	go func() {
		for j := range a.jobs {
			if string(j.Body) == "stop" {
				commands <- j
			} else {
				waiting <- j
			}
		}
	}()
	to := b.claim("m")
	move := func(j intake.Job, overtakes bool) error {
		if err := j.Forward(soon(t), *to, "m", overtakes); err != nil {
			return err
		}
		if err := j.Settle(soon(t), intake.Forward, event.Result{}); err != nil {
			return err
		}
		return j.Moved(soon(t))
	}
	var moving sync.WaitGroup
	for range runs {
		j := b.next()
		moving.Go(func() {
			if err := move(j, false); err != nil {
				t.Error(err)
			}
		})
	}
	moving.Wait()
	if err := move(b.next(), true); err != nil {
		t.Error(err)
	}
	select {
	case stop := <-commands:
		awaitOriginal(t, stop)
		settle(t, stop, intake.Ack)
	case <-time.After(patience):
		t.Fatalf("%d runs hold up the stop; %d of them have come", runs, len(waiting))
	}
	for range runs {
		run := <-waiting
		awaitOriginal(t, run)
		settle(t, run, intake.Ack)
	}
	brokertest.Eventually(t, "nothing is left", func() bool {
		return p.Ready(claims.HostQueue(q, "a"))+p.Ready(claims.ControlQueue(q, "a")) == 0
	})
}

// TestForwardCut: a forwarder that dies between the confirm and the ack has its original redelivered. The copy is there, and the next
// forwarder sends another.
func TestForwardCut(t *testing.T) {
	t.Parallel()
	p, px := brokertest.New(t), brokertest.NewProxy(t)
	q := p.Queue("quorum")
	a, b := startHost(t, p, q, "a", noRoom), startHost(t, p, q, "b", through(px))
	a.claim("m")
	p.Send(q, amqp.Publishing{MessageId: "m", Body: []byte("job")})
	j := b.next()
	b.forward(j, "m")
	px.Cut()
	first := a.next()
	lostJob := b.next() // again
	lost(t, j, intake.Forward)
	if !lostJob.Redelivered {
		t.Error("the original is not redelivered")
	}
	b.forward(lostJob, "m")
	second := a.next()
	if first.Redelivered || !second.Redelivered || second.MessageID != "m" {
		t.Errorf("the copies are %+v and %+v", first, second)
	}
	b.moved(lostJob)
	awaitOriginal(t, second)
	if original(first) {
		t.Error("the note of the second copy is taken for that of the first")
	}
	for _, f := range []intake.Job{first, second} {
		settle(t, f, intake.Ack)
	}
	if err := b.end(); err != nil {
		t.Error(err)
	}
	b.close()
	p.Expect(q)
}

// TestForwardedToRestarted: a host that is started again gets its copies again, and knows of those whose originals are acked.
func TestForwardedToRestarted(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	b := startHost(t, p, q, "b", noRoom)
	b.claim("known") // so a is the forwarder; the copies are b's
	a := startHost(t, p, q, "a", nil)
	p.Send(q, amqp.Publishing{MessageId: "1", Body: []byte("noted")}, amqp.Publishing{MessageId: "2", Body: []byte("not noted")})
	jobs := a.take("noted", "not noted")
	for _, j := range jobs {
		a.forward(j, "known")
	}
	copies := b.take("noted", "not noted")
	a.moved(jobs[0])
	awaitOriginal(t, copies[0])
	b.stop()
	for j := range b.jobs {
		t.Errorf("got %q", j.Body)
	}
	b.close() // as if killed: nothing is settled
	again := startHost(t, p, q, "b", noRoom)
	redelivered := map[string]intake.Job{}
	for range 2 {
		j := again.next()
		redelivered[string(j.Body)] = j
	}
	awaitOriginal(t, redelivered["noted"])
	if f := redelivered["not noted"]; original(f) || !f.Redelivered {
		t.Errorf("redelivered is %+v", f)
	}
	a.moved(jobs[1])
	awaitOriginal(t, redelivered["not noted"])
	for _, f := range redelivered {
		settle(t, f, intake.Ack)
	}
	if err := again.end(); err != nil {
		t.Error(err)
	}
	again.close()
	p.Expect(claims.HostQueue(q, "b"))
}

// TestForwardedBack: a message that was forwarded to a host that is then released is the same job for the host that gets it next.
func TestForwardedBack(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	b := startHost(t, p, q, "b", noRoom)
	b.claim("m")
	a := startHost(t, p, q, "a", nil)
	p.Send(q, amqp.Publishing{MessageId: "m", Body: []byte("job"), UserId: mustUser(t), ReplyTo: "answers", Headers: amqp.Table{wire.HeaderAttempt: int32(2), wire.HeaderCopy: "mark"}})
	j := a.next()
	a.forward(j, "m")
	b.next() // and then it dies
	a.moved(j)
	b.stop()
	b.close()
	release(t, q, "b")
	back := a.next()
	if back.Forwarded != nil || back.Control || back.MessageID != "m" || back.Copy != "mark" || back.Attempt != 2 || back.User != mustUser(t) || back.ReplyTo != j.ReplyTo {
		t.Errorf("the message that went back is %+v, and was %+v", back, j)
	}
	if other := a.claim("m"); other != nil {
		t.Errorf("its job is still claimed by %+v", other)
	}
	settle(t, back, intake.Ack)
}

// TestForwardedTwice: the note of a second hop waits for the note of the first.
func TestForwardedTwice(t *testing.T) {
	t.Parallel()
	p := brokertest.New(t)
	q := p.Queue("quorum")
	a, b, c := startHost(t, p, q, "a", nil), startHost(t, p, q, "b", noRoom), startHost(t, p, q, "c", noRoom)
	b.claim("one")
	c.claim("two")
	p.Send(q, amqp.Publishing{MessageId: "m", Body: []byte("job")})
	j := a.next()
	a.forward(j, "one")
	f := b.next()
	b.forward(f, "two")
	last := c.next()
	if last.Forwarded.Hops != 2 || last.MessageID != "m" {
		t.Errorf("after two hops the job is %+v, %+v", last, last.Forwarded)
	}
	settle(t, f, intake.Forward)
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // many times what a note takes
	defer cancel()
	if err := f.Moved(short); err != context.DeadlineExceeded {
		t.Errorf("a note although the original may be redelivered: %v", err)
	}
	told := make(chan error, 1)
	go func() { told <- f.Moved(soon(t)) }()
	a.moved(j)
	awaitOriginal(t, last)
	if err := <-told; err != nil {
		t.Error(err)
	}
	settle(t, last, intake.Ack)
}
