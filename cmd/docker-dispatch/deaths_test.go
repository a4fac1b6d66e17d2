package main

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// dieAt names, in the environment of the program under test, the step of a job right behind which the
// process kills itself.
const dieAt = "DISPATCH_TEST_DIE_AT"

// The steps of a job, in their order where the message has a message_id.
const (
	stepCreate  = "create"
	stepAttach  = "attach"
	stepWait    = "wait"
	stepStart   = "start"
	stepExit    = "exit"     // the container has ended, and we know how
	stepResult  = "result"   // the result is reported
	stepStore   = "store"    // the dead-letter queue has the message, which is not acked
	stepAckLost = "ack lost" // the ack was written, but never reaches the broker
	stepAck     = "ack"      // the ack was written; whether the broker has it nobody knows
	stepFence   = "fence"    // the broker has the ack; the container is about to be removed
	stepPresent = "present"  // without a message_id: the connection lives; the container is about to be removed
	stepRemove  = "remove"
)

// deathAt returns seams that kill the process right behind a step, and none for "".
func deathAt(step string) seams {
	if step == "" {
		return seams{}
	}
	m := mortal(step)
	return seams{
		docker:   func(d cmd.Docker) cmd.Docker { return mortalDocker{d, m} },
		source:   func(s source) source { return mortalSource{s, m} },
		reporter: func(r cmd.Reporter) cmd.Reporter { return mortalReporter{r, m} },
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
	cmd.Docker
	mortal
}

func (d mortalDocker) CreateContainer(ctx context.Context, name string, cfg dockerapi.ContainerConfig) (dockerapi.Created, error) {
	c, err := d.Docker.CreateContainer(ctx, name, cfg)
	d.reached(stepCreate, err)
	return c, err
}

func (d mortalDocker) AttachContainer(ctx context.Context, id string, o dockerapi.AttachOptions) (func() error, error) {
	join, err := d.Docker.AttachContainer(ctx, id, o)
	d.reached(stepAttach, err)
	return join, err
}

func (d mortalDocker) WaitContainer(ctx context.Context, id string, c dockerapi.Condition) (func() (dockerapi.ExitStatus, error), error) {
	join, err := d.Docker.WaitContainer(ctx, id, c)
	d.reached(stepWait, err)
	if err != nil {
		return nil, err
	}
	return func() (dockerapi.ExitStatus, error) {
		status, err := join()
		d.reached(stepExit, err)
		return status, err
	}, nil
}

func (d mortalDocker) StartContainer(ctx context.Context, id string) error {
	err := d.Docker.StartContainer(ctx, id)
	d.reached(stepStart, err)
	return err
}

func (d mortalDocker) RemoveContainer(ctx context.Context, id string, o dockerapi.RemoveOptions) error {
	err := d.Docker.RemoveContainer(ctx, id, o)
	d.reached(stepRemove, err)
	return err
}

type mortalReporter struct {
	cmd.Reporter
	mortal
}

func (r mortalReporter) Result(res cmd.Result) error {
	err := r.Reporter.Result(res)
	r.reached(stepResult, err)
	return err
}

type mortalSource struct {
	source
	mortal
}

func (s mortalSource) Run(ctx context.Context, jobs, control chan<- cmd.Job) error {
	defer close(jobs)
	inner, done := make(chan cmd.Job), make(chan error, 1)
	go func() { done <- s.source.Run(ctx, inner, control) }()
	for j := range inner {
		store, settle, fence := j.Store, j.Settle, j.Fence
		settled := false // by the job's one goroutine
		j.Store = func(ctx context.Context, r cmd.Result) error {
			err := store(ctx, r)
			s.reached(stepStore, err)
			return err
		}
		j.Settle = func(ctx context.Context, v cmd.Verdict, r cmd.Result) error {
			s.reached(stepAckLost, nil)
			err := settle(ctx, v, r)
			s.reached(stepAck, err)
			settled = true
			return err
		}
		j.Fence = func(ctx context.Context) error {
			err := fence(ctx)
			if settled {
				s.reached(stepFence, err)
			} else {
				s.reached(stepPresent, err)
			}
			return err
		}
		jobs <- j
	}
	return <-done
}

// What the next process finds.
type aftermath string

const (
	adopted  aftermath = "adopted"  // the container: it goes on from there
	again    aftermath = "again"    // nothing: the limit of messages without a message_id
	swept    aftermath = "swept"    // a container whose message is settled
	either   aftermath = "either"   // one of adopted and swept: nobody knows whether the broker had the ack
	nothing  aftermath = "nothing"  // neither message nor container
	answered aftermath = "answered" // a message that never had a container
)

// TestDeathAtEachStep kills the process behind each step of a job, and starts it again. Whatever the
// step, the program in the container runs once, all its output and its exit code are reported, and in
// the end nothing is left, neither message nor container.
func TestDeathAtEachStep(t *testing.T) {
	t.Parallel()
	const script = "cat /proc/sys/kernel/random/uuid; echo err >&2; sleep 0.2; echo end; exit 3"
	unnamed := func(string) string { return runMessage("", script) }
	named := func(name string) string { return runMessage(name, script) }
	bad := func(string) string { return `{"Dockercmd":"run","Image":"busybox","Cmds":[]}` }
	for _, kind := range []struct {
		name    string
		id      string
		message func(name string) string
		steps   map[string]aftermath
	}{
		{"message_id", "id", unnamed, map[string]aftermath{
			stepCreate: adopted, stepAttach: adopted, stepWait: adopted, stepStart: adopted, stepExit: adopted, stepResult: adopted,
			stepAckLost: adopted, stepAck: either, stepFence: swept, stepRemove: nothing,
		}},
		{"message_id and Name", "id", named, map[string]aftermath{
			stepCreate: adopted, stepStart: adopted, stepResult: adopted, stepAckLost: adopted, stepFence: swept,
		}},
		{"Name", "", named, map[string]aftermath{
			stepCreate: adopted, stepStart: adopted, stepResult: adopted, stepPresent: adopted, stepRemove: again, stepFence: nothing,
		}},
		{"neither", "", unnamed, map[string]aftermath{
			stepCreate: adopted, stepStart: adopted, stepResult: adopted, stepRemove: again, stepFence: nothing,
		}},
		{"dead letter", "id", bad, map[string]aftermath{stepResult: answered, stepStore: answered, stepFence: nothing}},
	} {
		for step, want := range kind.steps {
			t.Run(kind.name+"/"+step, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.publish(message{kind.id, kind.message("death-" + l.serial)})

				l.env = []string{dieAt + "=" + step}
				first := l.start("--format", "json")
				if code := first.wait(); code != -1 {
					t.Fatalf("exit %d, want death by a signal", code)
				}
				l.env = nil
				second := l.start("--format", "json", "--sweep-after", "1s")
				switch want {
				case adopted, again, answered:
					second.done(1)
				case swept:
					second.awaitLog("swept: ")
				case either:
					l.eventually("neither message nor container", func() bool { return l.ready(l.queue) == 0 && len(l.containers()) == 0 })
				case nothing:
					second.awaitLog("taking messages")
				}
				if code := second.stop(); code != 0 {
					t.Errorf("exit %d", code)
				}

				dead, programs := 0, 1
				switch {
				case kind.name == "dead letter":
					dead, programs = 1, 0
					if step == stepStore {
						dead = 2 // nothing on the engine says that there is a copy already
					}
				case want == again:
					programs = 2
				}
				if n := l.ready(l.queue); n != 0 {
					t.Errorf("%d messages left", n)
				}
				if n := l.ready(l.queue + ".dead"); n != dead {
					t.Errorf("%d dead letters, want %d", n, dead)
				}
				if left := l.containers(); len(left) != 0 {
					t.Errorf("containers left: %+v", left)
				}
				checkPrograms(t, programs, first.out()+second.out())
				for _, r := range append(first.results(), second.results()...) {
					if dead == 0 && (r.ExitCode == nil || *r.ExitCode != 3 || !strings.HasSuffix(r.Stdout, "\nend\n") || r.Stderr != "err\n" || r.Incomplete) {
						t.Errorf("result %+v", r)
					}
				}
			})
		}
	}
}

// TestNameAfterDeath: what a death leaves behind does not keep its name from the next job.
func TestNameAfterDeath(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	name := "again-" + l.serial
	l.publish(message{"one", runMessage(name, "exit 3")})
	l.env = []string{dieAt + "=" + stepFence}
	l.start().wait()
	l.env = nil
	l.publish(message{"two", runMessage(name, "exit 4")})
	p := l.start("--format", "json")
	p.done(1)
	l.eventually("the second is settled", func() bool { return len(l.containers()) == 1 })
	if code := p.stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if r := p.results(); len(r) != 1 || r[0].Job != "two" || *r[0].ExitCode != 4 {
		t.Errorf("results %+v", r)
	}
	if left := l.containers(); len(left) != 1 || left[0].Labels[cmd.LabelJob] != "one" || !strings.HasPrefix(left[0].Name, "dispatch-ended-") {
		t.Errorf("containers %+v", left)
	}
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
