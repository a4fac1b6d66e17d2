package run

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// runLine is the command line of docker-dispatch run busybox.
func runLine(t *testing.T) *message.RunLine {
	t.Helper()
	line, err := message.ParseRunLine([]string{"busybox"}, nil, message.Caller{})
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// mute is a broker that stores nothing in one queue.
type mute struct {
	queue string
	asked chan struct{}
}

func (m mute) DeclareReplies(context.Context, string, time.Duration) error { return nil }
func (m mute) Consume(ctx context.Context, _ string, _ int) (<-chan client.Received, error) {
	in := make(chan client.Received)
	context.AfterFunc(ctx, func() { close(in) })
	return in, nil
}
func (m mute) Publish(ctx context.Context, queue string, _ client.Message) error {
	m.asked <- struct{}{}
	if queue != m.queue {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}
func (m mute) DeleteQueue(context.Context, string) error { return nil }
func (m mute) Ready(context.Context, string) (n, consumers int, err error) {
	return 1, 0, nil
}
func (m mute) Heartbeat() time.Duration    { return 10 * time.Second }
func (m mute) Close(context.Context) error { return nil }

// closing is a broker that closes the connection when a message is to be sent.
type closing struct{ mute }

func (closing) Publish(context.Context, string, client.Message) error {
	return fmt.Errorf("%w: the broker says: 530 one channel too many", client.ErrGone)
}

// TestRunCannotSend: while the message cannot even be written, a broker's refusal ends the run and is not waited out.
func TestRunCannotSend(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	line := runLine(t)
	c := &runClient{line: line, queue: "q", control: "q.control", stdout: &out, stderr: &errs, stop: make(chan struct{}), maxMessage: 1000,
		connect: func(context.Context) (runBroker, error) { return closing{}, nil }}
	if code := c.run(nil); code != exitRefused || !strings.Contains(errs.String(), "530 one channel too many") || c.fate() != "nothing was sent" {
		t.Errorf("exit %d, stderr %q, %s", code, errs.String(), c.fate())
	}
}

// TestRunLeavesWhatIsNotStored: if the broker may not have a message, the client says neither that its job goes on
// nor that it does not.
func TestRunLeavesWhatIsNotStored(t *testing.T) {
	t.Parallel()
	for queue, what := range map[string]string{"q": "it", "q.control": "the stop"} {
		synctest.Test(t, func(t *testing.T) {
			m := mute{queue, make(chan struct{}, 1)}
			var out, errs bytes.Buffer
			line := runLine(t)
			c := &runClient{line: line, queue: "q", control: "q.control", stdout: &out, stderr: &errs, stop: make(chan struct{}), maxMessage: 1000,
				connect: func(context.Context) (runBroker, error) { return m, nil }}
			signals := make(chan os.Signal)
			go func() {
				<-m.asked
				signals <- os.Interrupt
				if queue != "q" {
					<-m.asked
				}
				time.Sleep(2 * ui.SameSignal) // signals that are nearer are one
				signals <- os.Interrupt
			}()
			code := c.run(signals)
			if want := "docker-dispatch: left; the job " + c.job + " may go on: the broker has not said that it has " + what + "\n"; code != 130 || errs.String() != want || out.Len() > 0 {
				t.Errorf("exit %d, stdout %q, stderr %q, want %q", code, out.String(), errs.String(), want)
			}
		})
	}
}

// TestRunTellsWhatItWaitsFor: after a signal a run whose broker stands still says what it waits for, and one that has sent nothing
// says that.
func TestRunTellsWhatItWaitsFor(t *testing.T) {
	stopping := func(ctx context.Context, m mute) (runBroker, error) { return m, nil }
	connecting := func(ctx context.Context, m mute) (runBroker, error) {
		m.asked <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, tt := range []struct {
		name    string
		connect func(context.Context, mute) (runBroker, error)
		signals int
		want    string
	}{
		{"the stop", stopping, 2, "docker-dispatch: waiting for the broker to take the stop of the job JOB; another signal leaves the job alone\n" +
			"docker-dispatch: left; the job JOB may go on: the broker has not said that it has the stop\n"},
		{"a connection", connecting, 1, "docker-dispatch: left; nothing was sent\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var errs bytes.Buffer
				line := runLine(t)
				m := mute{"q.control", make(chan struct{}, 2)}
				c := &runClient{line: line, queue: "q", control: "q.control", stderr: &errs, stop: make(chan struct{}), maxMessage: 1000, job: "JOB",
					connect: func(ctx context.Context) (runBroker, error) { return tt.connect(ctx, m) }}
				signals := make(chan os.Signal)
				go func() {
					<-m.asked
					for range tt.signals {
						signals <- os.Interrupt
						time.Sleep(2 * confirming)
					}
				}()
				if code := c.run(signals); code != 130 || errs.String() != tt.want {
					t.Errorf("exit %d, stderr %q, want %q", code, errs.String(), tt.want)
				}
				time.Sleep(2 * confirming)
			})
		})
	}
}

// TestRunWithoutDaemon: a run whose queue has no consumer says so once, and goes on waiting.
func TestRunWithoutDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		line := runLine(t)
		m := mute{"none", make(chan struct{}, 2)}
		c := &runClient{line: line, queue: "q", stderr: &errs, stop: make(chan struct{}), maxMessage: 1000, job: "JOB", timeout: 10 * time.Minute,
			connect: func(context.Context) (runBroker, error) { return m, nil }}
		want := "docker-dispatch: no daemon takes messages from the queue q now; the job JOB waits there\n" +
			"docker-dispatch: no result within 10m0s; the job JOB goes on\n"
		if code := c.run(nil); code != exitRefused || errs.String() != want {
			t.Errorf("exit %d, stderr %q, want %q", code, errs.String(), want)
		}
	})
}

// blind is a broker whose user may not look at queues.
type blind struct{ mute }

func (blind) Ready(context.Context, string) (n, consumers int, err error) {
	return 0, 0, wire.ErrForbidden
}

// TestRunStopsBlind: a run that was told to stop, and that cannot ask whether a daemon takes messages, gives one time to answer.
// Then it ends.
func TestRunStopsBlind(t *testing.T) {
	for _, after := range []time.Duration{time.Second, 9 * time.Second, 3 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			var errs bytes.Buffer
			m := blind{mute{"none", make(chan struct{}, 2)}}
			c := &runClient{line: runLine(t), queue: "q", control: "q.control", stderr: &errs, stop: make(chan struct{}), maxMessage: 1000, job: "JOB", timeout: time.Hour,
				connect: func(context.Context) (runBroker, error) { return m, nil }}
			signals := make(chan os.Signal)
			go func() {
				time.Sleep(after)
				signals <- os.Interrupt
			}()
			began := time.Now()
			code := c.run(signals)
			const want = "docker-dispatch: left, because no daemon has answered the stop, and the broker's user may not look at the queue q; " +
				"if no daemon runs, the job JOB stays there, and its stop in the queue q.control\n"
			if took := time.Since(began) - after; code != 130 || !strings.HasSuffix(errs.String(), want) || took != lookAfter {
				t.Errorf("exit %d, %v after the signal, stderr %q", code, took, errs.String())
			}
		})
	}
}

// A deafBroker is one that has the result by the time that it is told to stop the job.
type deafBroker struct {
	mute
	answers chan client.Received
	gone    bool // its connection ends then; else it does not answer
}

func (b deafBroker) Consume(context.Context, string, int) (<-chan client.Received, error) {
	return b.answers, nil
}

func (b deafBroker) Publish(ctx context.Context, queue string, m client.Message) error {
	var body struct{ Job string }
	if err := json.Unmarshal(m.Body, &body); err != nil {
		return err
	}
	if queue == "q" {
		b.asked <- struct{}{}
		return nil
	}
	b.answers <- client.Received{Message: client.Message{Body: event.Result{Job: body.Job, Status: event.Failed, ExitCode: new(7)}.JSON()}}
	close(b.answers)
	if b.gone {
		return client.ErrGone
	}
	<-ctx.Done()
	return ctx.Err()
}

// TestRunResultBesideStop: a result that comes while the job is told to stop is the job's.
func TestRunResultBesideStop(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{false, true} {
		b := deafBroker{mute{"q.control", make(chan struct{}, 1)}, make(chan client.Received, 1), gone}
		var errs bytes.Buffer
		line := runLine(t)
		c := &runClient{line: line, queue: "q", control: "q.control", stderr: &errs, stop: make(chan struct{}), maxMessage: 1000, timeout: time.Minute / 4,
			connect: func(context.Context) (runBroker, error) { return b, nil }}
		signals := make(chan os.Signal)
		go func() {
			<-b.asked
			signals <- os.Interrupt
		}()
		if code := c.run(signals); code != 7 || errs.Len() > 0 {
			t.Errorf("gone %v: exit %d, stderr %q", gone, code, errs.String())
		}
	}
}
