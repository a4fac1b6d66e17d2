package run

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// holdingBroker is a connection whose consumer gets these answers, each after a time.
type holdingBroker struct {
	mute
	answers []heldAnswer
	lost    bool // the connection ends behind them
}

type heldAnswer struct {
	after time.Duration
	event interface{ JSON() []byte }
}

func (b holdingBroker) Publish(context.Context, string, client.Message) error { return nil }

func (b holdingBroker) Consume(ctx context.Context, _ string, _ int) (<-chan client.Received, error) {
	out := make(chan client.Received)
	go func() {
		defer close(out)
		for _, a := range b.answers {
			select {
			case <-time.After(a.after):
			case <-ctx.Done():
				return
			}
			select {
			case out <- client.Received{Message: client.Message{Body: a.event.JSON()}}:
			case <-ctx.Done():
				return
			}
		}
		if !b.lost {
			<-ctx.Done()
		}
	}()
	return out, nil
}

// TestRunAwaitsWhatTheBrokerHolds: what was on its way to a connection that is dead comes after what is newer, as soon as
// the broker notices. Until it must have, nothing is called missing.
func TestRunAwaitsWhatTheBrokerHolds(t *testing.T) {
	const job = "0123456789abcdef0123456789abcdef"
	out := func(after time.Duration, attempt, offset int, text string) heldAnswer {
		return heldAnswer{after, event.Output{Job: job, Attempt: attempt, Stream: "stdout", Offset: int64(offset), Data: []byte(text)}}
	}
	result := func(after time.Duration, attempt, bytes int, again bool) heldAnswer {
		return heldAnswer{after, event.Result{Job: job, Attempt: attempt, Retrying: again, Status: event.Succeeded, ExitCode: new(0), StdoutBytes: int64(bytes)}}
	}
	dead := []heldAnswer{}
	for _, tt := range []struct {
		name           string
		connections    [][]heldAnswer // all but the last are lost
		stdout, stderr string
		code           int
		least, most    time.Duration
	}{
		{"the beginning is held", [][]heldAnswer{dead, {out(0, 0, 3, "def"), result(0, 0, 6, false), out(25*time.Second, 0, 0, "abc")}}, "abcdef", "", 0, 25 * time.Second, 26 * time.Second},
		{"all is held", [][]heldAnswer{dead, {result(0, 0, 6, false), out(20*time.Second, 0, 0, "abc"), out(0, 0, 3, "def")}}, "abcdef", "", 0, 20 * time.Second, 21 * time.Second},
		{"it is really missing", [][]heldAnswer{dead, {out(0, 0, 3, "def"), result(0, 0, 6, false)}}, "",
			"docker-dispatch: 6 bytes of the output are missing; the container has exited with code 0\n", exitRefused, 29 * time.Second, 31 * time.Second},
		{"no connection was lost", [][]heldAnswer{{out(0, 0, 3, "def"), result(0, 0, 6, false)}}, "",
			"docker-dispatch: 6 bytes of the output are missing; the container has exited with code 0\n", exitRefused, 0, time.Second},
		{"the first attempt is held", [][]heldAnswer{dead, {out(0, 2, 0, "two"), result(0, 2, 3, false), out(25*time.Second, 1, 0, "one "), result(0, 1, 4, true)}}, "one two", "", 0, 25 * time.Second, 26 * time.Second},
		{"two connections were lost", [][]heldAnswer{dead, dead, {out(0, 0, 3, "def"), result(0, 0, 6, false), out(28*time.Second, 0, 0, "abc")}}, "abcdef", "", 0, 28 * time.Second, 30 * time.Second},
		{"nothing is held", [][]heldAnswer{{out(0, 0, 0, "abc")}, {out(0, 0, 3, "def"), result(0, 0, 6, false)}}, "abcdef", "", 0, 0, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stdout, stderr bytes.Buffer
				line, err := message.ParseRunLine([]string{"-a", "stdout", "busybox"}, nil, message.Caller{})
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				c := &runClient{line: line, queue: "q", stdout: &stdout, stderr: &stderr, stop: make(chan struct{}), maxMessage: 1000,
					connect: func(context.Context) (runBroker, error) {
						b := holdingBroker{answers: tt.connections[n], lost: n < len(tt.connections)-1}
						n++
						return b, nil
					}}
				c.job = job
				began := time.Now()
				code := c.run(nil)
				took := time.Since(began)
				if code != tt.code || stdout.String() != tt.stdout || stderr.String() != tt.stderr || took < tt.least || took > tt.most {
					t.Errorf("exit %d after %v, stdout %q, stderr %q", code, took, stdout.String(), stderr.String())
				}
			})
		})
	}
}

// losingBroker is a holdingBroker whose queue of messages is gone after a time.
type losingBroker struct {
	holdingBroker
	at time.Time
}

func (b losingBroker) Ready(_ context.Context, queue string) (n, consumers int, err error) {
	if time.Now().Before(b.at) || queue != "q" {
		return 0, 1, nil
	}
	return 0, 0, wire.ErrNoQueue
}

// TestRunQueueDeleted: a run whose queue is deleted before a daemon has answered ends; one that has had an answer goes on.
func TestRunQueueDeleted(t *testing.T) {
	const job = "0123456789abcdef0123456789abcdef"
	const lost = "docker-dispatch: error: queue \"q\" is gone, and the message of the job " + job + " with it, unless a daemon had taken that\nhint: no daemon has answered: "
	for _, tt := range []struct {
		name    string
		answers []heldAnswer
		stderr  string
		code    int
		took    time.Duration
	}{
		{"no answer", nil, lost, exitRefused, 4*time.Minute + lookAfter},
		{"an answer before", []heldAnswer{
			{30 * time.Second, event.Started{Job: job}},
			{time.Hour, event.Result{Job: job, Status: event.Succeeded, ExitCode: new(0)}},
		}, "", 0, time.Hour + 30*time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stdout, stderr bytes.Buffer
				line := runLine(t)
				began := time.Now()
				b := losingBroker{holdingBroker{answers: tt.answers}, began.Add(200 * time.Second)}
				c := &runClient{line: line, queue: "q", stdout: &stdout, stderr: &stderr, stop: make(chan struct{}), maxMessage: 1000, timeout: 2 * time.Hour,
					connect: func(context.Context) (runBroker, error) { return b, nil }}
				c.job = job
				code := c.run(nil)
				if took := time.Since(began); code != tt.code || !strings.HasPrefix(stderr.String(), tt.stderr) || tt.stderr == "" && stderr.Len() > 0 || took != tt.took {
					t.Errorf("exit %d after %v, stdout %q, stderr %q", code, took, stdout.String(), stderr.String())
				}
			})
		})
	}
}
