package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
)

// fakeStream keeps what is sent.
type fakeStream struct {
	mu     sync.Mutex
	sent   []string // "what data"
	hold   chan struct{}
	ended  bool
	broken error
}

func (f *fakeStream) Send(ctx context.Context, job, what string, body []byte) error {
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e, err := event.Decode(body)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	text := job + " " + what
	if e.Output != nil {
		text += " " + string(e.Output.Data)
	}
	f.sent = append(f.sent, text)
	return f.broken
}

func (f *fakeStream) Flush(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, "flush")
	return f.broken
}

func (f *fakeStream) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
}

func (f *fakeStream) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sent
	f.sent = nil
	return s
}

// TestLive: what comes close together is one event, and nothing waits for long.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(fakeStream)
		l := output.NewLive(t.Context(), s)
		want := func(events ...string) {
			t.Helper()
			if got := s.take(); !slices.Equal(got, events) {
				t.Errorf("sent %.200q, want %.200q", got, events)
			}
		}
		write := func(stream string, at int64, data string) {
			l.Write(event.Output{Job: "j", Stream: stream, Offset: at, Data: []byte(data)})
		}
		write("stdout", 0, "a")
		write("stdout", 1, "b")
		want()
		time.Sleep(time.Second)
		synctest.Wait()
		want("j output/stdout/0 ab")
		write("stdout", 2, "c")
		write("stderr", 0, "x") // the other stream: the order stays
		want("j output/stdout/2 c")
		l.Started(event.Started{Job: "j", Attempt: 2})
		want("j output/stderr/0 x", "j started/2")
		write("stdout", 10, "beyond a gap")
		time.Sleep(time.Second)
		synctest.Wait()
		want("j output/stdout/10 beyond a gap")
		long := strings.Repeat("é", event.MaxData)
		write("stdout", 22, "x"+long)
		got := s.take()
		if len(got) != 2 || len(got[0]) > event.MaxData+30 {
			t.Errorf("%d events", len(got))
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got = append(got, s.take()...); len(got) != 4 || got[3] != "flush" {
			t.Errorf("%d events", len(got))
		}
		var all string
		for _, e := range got[:3] {
			all += strings.SplitN(e, " ", 3)[2]
		}
		if all != "x"+long {
			t.Errorf("%d bytes of %d", len(all), len(long)+1)
		}
		l.Close()
		if !s.ended {
			t.Error("not closed")
		}
	})
}

// answering makes the deliveries to come have a reply_to.
func (b *bench) answering(replyTo string, s *fakeStream, answers *[]string, fail func() error) func(*intake.Job) {
	tell := func(who string) func(context.Context, event.Result) error {
		return func(_ context.Context, r event.Result) error {
			if err := fail(); err != nil {
				return err
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			*answers = append(*answers, fmt.Sprintf("%s %s (containers: %d)", who, r.Status, b.docker.count()))
			b.events = append(b.events, "answer")
			return nil
		}
	}
	return func(j *intake.Job) {
		j.ReplyTo, j.Reply, j.Record = replyTo, tell(replyTo), tell("results")
		j.Stream = func() output.Stream { return s }
	}
}

// TestAnswers: the result is told once to each who wants it, behind the output, before the ack, and before the
// container is gone.
func TestAnswers(t *testing.T) {
	body := strings.Replace(echo, `"Image"`, `"Stream":true,"Image"`, 1)
	for _, id := range []string{"id", ""} {
		onBench(t, nil, func(b *bench) {
			s := new(fakeStream)
			var answers []string
			b.change = b.answering("to", s, &answers, func() error { return nil })
			b.send("m", id, false, body).want(intake.Ack, "")
			sent := s.take()
			for i := range sent {
				_, sent[i], _ = strings.Cut(sent[i], " ") // without the job's id
			}
			if want := []string{"started", "output/stdout/0 hi\n", ""}; !slices.Equal(sent, want) {
				t.Errorf("streamed %q, want %q", sent, want)
			}
			if want := []string{"results succeeded (containers: 1)", "to succeeded (containers: 1)"}; !slices.Equal(answers, want) {
				t.Errorf("answers %q, want %q", answers, want)
			}
			if ack := slices.IndexFunc(b.events, func(e string) bool { return strings.HasPrefix(e, "ack") }); ack < slices.Index(b.events, "answer") || !s.ended {
				t.Errorf("events %q, stream ended: %v", b.events, s.ended)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			var answers []string
			b.change = b.answering("to", new(fakeStream), &answers, func() error { return nil })
			b.send("m", "id", false, "nonsense").want(intake.DeadLetter, event.ReasonInvalid)
			if fmt.Sprint(answers) != "[results refused (containers: 0) to refused (containers: 0)]" {
				t.Errorf("answers %q", answers)
			}
		})
	})
	t.Run("two who ask", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			var answers []string
			nothing := func() error { return nil }
			b.change = b.answering("first", new(fakeStream), &answers, nothing)
			body := strings.Replace(body, `["echo","hi"]`, `["sleep"]`, 1)
			first := b.send("m", "id", false, body)
			b.change = b.answering("second", new(fakeStream), &answers, nothing)
			second := b.send("m", "id", false, body)
			b.docker.named(t, "web").exit(0)
			synctest.Wait()
			first.want(intake.Ack, "")
			second.want(intake.Ack, "")
			if len(answers) != 3 {
				t.Errorf("answers %q", answers)
			}
		})
	})
	t.Run("asked again", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			var answers []string
			nothing := func() error { return nil }
			for _, to := range []string{"first", "first", "second"} {
				b.change = b.answering(to, new(fakeStream), &answers, nothing)
				b.send("m", "id", false, body).want(intake.Ack, "")
			}
			if want := "[results succeeded (containers: 1) first succeeded (containers: 1) second succeeded (containers: 0)]"; fmt.Sprint(answers) != want {
				t.Errorf("answers %q", answers)
			}
		})
	})
	t.Run("asked afterwards", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.send("m", "id", false, echo).want(intake.Ack, "")
			var answers []string
			b.change = b.answering("to", new(fakeStream), &answers, func() error { return nil })
			b.send("m", "id", false, echo).want(intake.Ack, "")
			if fmt.Sprint(answers) != "[to succeeded (containers: 0)]" {
				t.Errorf("answers %q", answers)
			}
		})
	})
	t.Run("lost", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			var answers []string
			lost := intake.ErrDeliveryLost
			b.change = b.answering("to", new(fakeStream), &answers, func() error { return lost })
			d := b.send("m", "id", false, body)
			d.lose()
			d.unsettled()
			lost = nil
			b.send("again", "id", true, body).want(intake.Ack, "")
			if len(answers) != 2 || len(b.record.results) != 1 {
				t.Errorf("answers %q", answers)
			}
		})
	})
	t.Run("left", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			var answers []string
			b.change = b.answering("to", &fakeStream{broken: errors.New("ended")}, &answers, func() error { return nil })
			d := b.send("m", "id", false, body)
			d.unsettled()
			if len(answers) != 0 {
				t.Errorf("answers %q of a job whose output did not arrive", answers)
			}
		})
	})
}

// TestReplyMakesForeground: a run whose result somebody waits for lasts until its container has ended.
func TestReplyMakesForeground(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		var answers []string
		b.change = b.answering("to", new(fakeStream), &answers, func() error { return nil })
		const body = `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep"],"Options":{"Name":"web","Timeout":"1h"}}`
		d := b.send("m", "id", false, body)
		d.unsettled()
		b.docker.named(t, "web").exit(3)
		synctest.Wait()
		d.want(intake.Ack, event.ReasonExit)
		if fmt.Sprint(answers) != "[results failed (containers: 1) to failed (containers: 1)]" {
			t.Errorf("answers %q", answers)
		}
		b.change = nil
		b.send("n", "id2", false, body).want(intake.DeadLetter, event.ReasonInvalid) // a Timeout of a detached run
		b.send("o", "id3", false, strings.Replace(body, `,"Timeout":"1h"`, `,"Detach":true`, 1)).want(intake.DeadLetter, event.ReasonNameConflict)
	})
}
