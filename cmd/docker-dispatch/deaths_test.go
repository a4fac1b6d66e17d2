package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// dieAt names, in the environment of the program under test, the step of a job right behind which the
// process kills itself.
const dieAt = "DISPATCH_TEST_DIE_AT"

// Steps of a job.
const (
	stepStart   = "start"
	stepAckLost = "ack lost" // the ack was written, but never reaches the broker
	stepAck     = "ack"      // the ack was written; whether the broker has it nobody knows

	// stepReleased is no death: when the first job has come, the source finds that the host was released.
	stepReleased = "released"

	// stepFailed is no death: when the first job has come, the source fails.
	stepFailed = "failed"
)

// deathAt returns seams that kill the process right behind a step, and none for "".
func deathAt(step string) seams {
	if step == "" {
		return seams{}
	}
	m := mortal(step)
	return seams{
		docker: func(d container.Docker) container.Docker { return mortalDocker{d, m} },
		source: func(s source) source { return mortalSource{s, m} },
	}
}

type mortal string

// reached ends the process where the step is the one to die at: no defer runs, nothing is flushed.
func (m mortal) reached(step string, err error) {
	if step == string(m) && err == nil {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

type mortalDocker struct {
	container.Docker
	mortal
}

func (d mortalDocker) StartContainer(ctx context.Context, id string) error {
	err := d.Docker.StartContainer(ctx, id)
	d.reached(stepStart, err)
	return err
}

type mortalSource struct {
	source
	mortal
}

func (s mortalSource) Run(ctx context.Context, jobs, control chan<- intake.Job) error {
	defer close(jobs)
	inner, done := make(chan intake.Job), make(chan error, 1)
	go func() { done <- s.source.Run(ctx, inner, control) }()
	for j := range inner {
		s.among(&j)
		settle := j.Settle
		j.Settle = func(ctx context.Context, v intake.Verdict, r event.Result) error {
			s.reached(stepAckLost, nil)
			err := settle(ctx, v, r)
			s.reached(stepAck, err)
			return err
		}
		jobs <- j
		failed := map[mortal]error{stepReleased: wire.ErrReleased, stepFailed: errSourceFailed}[s.mortal]
		if failed != nil {
			go func() { // the source hands over what it has until it ends, perhaps the same job once more
				for range inner {
				}
			}()
			return failed
		}
	}
	return <-done
}

var errSourceFailed = errors.New("the source has failed")

// TestDeath kills the process behind a step of a job, and starts it again. Whatever the step, the program in the
// container runs once, all its output and its exit code are reported, and in the end nothing is left, neither message
// nor container. All steps are in internal/cmd's TestDeathAtEachStep; these are on the real servers.
func TestDeath(t *testing.T) {
	t.Parallel()
	for _, step := range []string{stepStart, stepAckLost, stepAck} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.publish(publication{"id", runMessage("", "cat /proc/sys/kernel/random/uuid; echo err >&2; sleep 0.2; echo end; exit 3")})

			l.env = []string{dieAt + "=" + step}
			first := l.startCommand(itself(t), "--format", "json")
			if code := first.wait(); code != -1 {
				t.Fatalf("exit %d, want death by a signal", code)
			}
			l.env = nil
			second := l.start("--format", "json", "--sweep-after", "1s")
			l.eventually("neither message nor container", func() bool { return l.broker.Ready(l.queue) == 0 && len(l.containers()) == 0 })
			if code := second.stop(); code != 0 {
				t.Errorf("exit %d", code)
			}
			if n := l.broker.Ready(l.queue) + l.broker.Ready(l.queue+".dead"); n != 0 {
				t.Errorf("%d messages and dead letters left", n)
			}
			checkPrograms(t, 1, first.out()+second.out())
			for _, r := range append(first.results(), second.results()...) {
				if r.ExitCode == nil || *r.ExitCode != 3 || !strings.HasSuffix(r.Stdout, "\nend\n") || r.Stderr != "err\n" || r.Incomplete {
					t.Errorf("result %+v", r)
				}
			}
		})
	}
}

// TestReleasedEndsAtOnce: a daemon whose host was released waits for no job, and settles none.
func TestReleasedEndsAtOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.publish(publication{"id", runMessage("", "exec sleep 600")})
	l.env = []string{dieAt + "=" + stepReleased}
	p := l.startCommand(itself(t), "--drain", "1h")
	if code := p.wait(); code != ui.ExitFailed {
		t.Errorf("exit %d", code)
	}
	if log := p.log(); !strings.Contains(log, wire.ErrReleased.Error()) || !strings.Contains(log, "hint: ") {
		t.Errorf("it says %s", log)
	}
	l.eventually("the message is requeued", func() bool { return l.broker.Ready(l.queue) == 1 })
}

// TestSourceFails: a source that fails stops the daemon as a signal does. The running job gets the time of --drain.
func TestSourceFails(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	m := newManager(t)
	l.publish(publication{"id", runMessage("", "exec sleep 600")})
	l.env = []string{dieAt + "=" + stepFailed, "NOTIFY_SOCKET=" + m.socket}
	p := l.startCommand(itself(t), "--drain", "1s")
	if code := p.wait(); code != ui.ExitFailed {
		t.Errorf("exit %d", code)
	}
	for _, want := range []string{"stopping: no more messages are taken", `reason="` + errSourceFailed.Error() + `" drain=1s`, "error: " + errSourceFailed.Error()} {
		if log := p.log(); !strings.Contains(log, want) {
			t.Errorf("no %q in the log:\n%s", want, log)
		}
	}
	l.eventually("the service manager is told", func() bool { return m.has("STOPPING=1\nSTATUS=stopping: " + errSourceFailed.Error()) })
	l.eventually("the message is requeued", func() bool { return l.broker.Ready(l.queue) == 1 })
}

// checkPrograms counts the programs that have run, by the ids of their containers and by the number
// that each writes first.
func checkPrograms(t *testing.T, want int, events string) {
	t.Helper()
	containers, programs := map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(events) {
		var e struct {
			Event, Stream, Data, ContainerId string
			Offset                           int64
		}
		if json.Unmarshal([]byte(line), &e) != nil {
			continue // cut off by the death
		}
		if e.ContainerId != "" {
			containers[e.ContainerId] = true
		}
		if e.Event == "output" && e.Stream == "stdout" && e.Offset == 0 {
			programs[e.Data] = true
		}
	}
	if len(containers) != want || len(programs) != want {
		t.Errorf("%d containers, %d programs ran; want %d", len(containers), len(programs), want)
	}
}
