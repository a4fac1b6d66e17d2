package cmd

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

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
	stepAck     = "ack"      // the ack was written, and the broker has it
	stepFence   = "fence"    // the broker has the ack, as we know; the container is about to be removed
	stepPresent = "present"  // without a message_id: the connection lives; the container is about to be removed
	stepRemove  = "remove"
)

// A process is what can die. From then on nothing that it does has an effect.
type process struct {
	*bench
	step string // right behind which it dies
	died atomic.Bool
	over chan struct{} // closed when it dies
	work context.Context
}

// processKey is under what each context of a process has it.
type processKey struct{}

// dead tells whether the process that a context belongs to has died.
func dead(ctx context.Context) bool {
	p, ok := ctx.Value(processKey{}).(*process)
	return ok && p.died.Load()
}

// reached ends the process where the step is the one to die at.
func (p *process) reached(step string, err error) {
	if step == p.step && err == nil && !p.died.Swap(true) {
		close(p.over)
	}
	if p.died.Load() {
		<-p.work.Done()
	}
}

type mortalDocker struct {
	container.Docker
	*process
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

func (d mortalDocker) WatchExits(ctx context.Context, label string) (func(func(string, dockerapi.ExitStatus)) error, error) {
	join, err := d.Docker.WatchExits(ctx, label)
	if err != nil {
		return nil, err
	}
	return func(exited func(string, dockerapi.ExitStatus)) error {
		return join(func(id string, s dockerapi.ExitStatus) {
			d.reached(stepExit, nil) // before the job can go on
			exited(id, s)
		})
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
	container.Reporter
	*process
}

func (r mortalReporter) Result(res event.Result) error {
	err := r.Reporter.Result(res)
	r.reached(stepResult, err)
	return err
}

// dies has a pool in place of the bench's that is of a process which dies behind that step.
func (b *bench) dies(step string) *process {
	b.end()
	p := &process{bench: b, step: step, over: make(chan struct{})}
	var kill context.CancelFunc
	p.work, kill = context.WithCancel(context.WithValue(b.t.Context(), processKey{}, p))
	b.start(p.work, func(c *Config) {
		c.Docker, c.Reporter = mortalDocker{c.Docker, p}, mortalReporter{c.Reporter, p}
	})
	b.stop = kill
	b.change = func(j *intake.Job) {
		store, settle, fence, alive := j.Store, j.Settle, j.Fence, j.Alive
		if store != nil {
			j.Store = func(ctx context.Context, r event.Result) error {
				err := store(ctx, r)
				p.reached(stepStore, err)
				return err
			}
		}
		j.Settle = func(ctx context.Context, v intake.Verdict, r event.Result) error {
			p.reached(stepAckLost, nil)
			if p.died.Load() {
				return intake.ErrDeliveryLost
			}
			err := settle(ctx, v, r)
			p.reached(stepAck, err)
			return err
		}
		j.Alive = func(ctx context.Context) error {
			err := alive(ctx)
			p.reached(stepPresent, err)
			return err
		}
		j.Fence = func(ctx context.Context) error {
			err := fence(ctx)
			p.reached(stepFence, err)
			return err
		}
	}
	return p
}

// await waits until the process dies.
func (p *process) await() {
	p.t.Helper()
	select {
	case <-p.over:
	case <-time.After(time.Hour):
		p.t.Fatalf("it never came to the step %q", p.step)
	}
}

// end ends the bench's pool at once.
func (b *bench) end() {
	b.stop()
	b.close()
	<-b.done
}

// What the next process finds.
type aftermath string

const (
	adopted  aftermath = "adopted"  // the container: it goes on from there
	again    aftermath = "again"    // nothing: the limit of messages without a message_id
	swept    aftermath = "swept"    // a container whose message is settled
	nothing  aftermath = "nothing"  // neither message nor container
	answered aftermath = "answered" // a message that never had a container
)

// TestDeathAtEachStep: a process dies behind each step of a job, and another starts. Whatever the step, the program in
// the container runs once, all its output and its exit code are reported, and in the end nothing is left, neither
// message nor container.
func TestDeathAtEachStep(t *testing.T) {
	sweeping := func(c *Config) {
		c.SweepAfter, c.Queue = time.Minute, "q"
		c.Quiet = func(context.Context, time.Duration) (intake.Place, bool) { return intake.Place{}, true }
	}
	const unnamed = `{"Dockercmd":"run","Image":"busybox","Cmd":["work"],"Options":{"Attach":["STDOUT","STDERR"],"Remove":true}}`
	named := strings.Replace(unnamed, `"Remove"`, `"Name":"web","Remove"`, 1)
	const bad = `{"Dockercmd":"run","Image":"busybox","Cmds":[]}`
	for _, kind := range []struct {
		name, id, body string
		steps          map[string]aftermath
	}{
		{"message_id", "id", unnamed, map[string]aftermath{
			stepCreate: adopted, stepAttach: adopted, stepWait: adopted, stepStart: adopted, stepExit: adopted, stepResult: adopted,
			stepAckLost: adopted, stepAck: swept, stepFence: swept, stepRemove: nothing,
		}},
		{"message_id and Name", "id", named, map[string]aftermath{
			stepCreate: adopted, stepAttach: adopted, stepWait: adopted, stepStart: adopted, stepExit: adopted, stepResult: adopted,
			stepAckLost: adopted, stepAck: swept, stepFence: swept, stepRemove: nothing,
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
				each := onBench
				if step == stepWait {
					each = func(t *testing.T, change func(*Config), test func(b *bench)) { onEngine(t, withoutExits, change, test) }
				}
				each(t, nil, func(b *bench) {
					var programs int
					b.docker.program["work"] = func(c *fakeContainer) {
						b.docker.mu.Lock()
						programs++
						b.docker.mu.Unlock()
						c.write("stdout", "begin\n")
						c.write("stderr", "err\n")
						time.Sleep(200 * time.Millisecond)
						c.write("stdout", "end\n")
						c.exit(3)
					}
					b.stores = true
					first := b.dies(step)
					d := b.send("first", kind.id, false, kind.body)
					first.await()
					b.mu.Lock()
					d.lost = true
					settled := len(d.verdicts) > 0
					b.mu.Unlock()
					before := b.record

					b.change = nil
					b.end()
					b.start(b.t.Context(), sweeping)
					var second *delivery
					if !settled {
						second = b.send("second", kind.id, true, kind.body)
					}
					time.Sleep(time.Hour)
					synctest.Wait()

					if redelivered := want == adopted || want == again || want == answered; redelivered != !settled {
						t.Errorf("redelivered %v; want %s", !settled, want)
					}
					dead, runs, copies := 0, 1, d.copies
					if second != nil {
						copies += second.copies
						if len(second.verdicts) != 1 || second.verdicts[0] != intake.Ack {
							t.Errorf("settled %v", second.verdicts)
						}
					}
					switch {
					case kind.name == "dead letter":
						dead, runs = 1, 0
						if step == stepStore {
							dead = 2 // nothing on the engine says that there is a copy already
						}
					case want == again:
						runs = 2
					}
					if n := b.docker.count(); copies != dead || programs != runs || n != 0 {
						t.Errorf("%d dead letters, want %d; %d programs ran, want %d; %d containers are left", copies, dead, programs, runs, n)
					}
					for _, r := range append(before.results, b.record.results...) {
						if dead == 0 && (r.ExitCode == nil || *r.ExitCode != 3 || r.Stdout != "begin\nend\n" || r.Stderr != "err\n" || r.Incomplete) {
							t.Errorf("result %+v", r)
						}
					}
					if want == adopted && len(b.record.results) != 1 {
						t.Error(fmt.Sprint("results ", b.record.results))
					}
				})
			})
		}
	}
}

// TestNameAfterDeath: what a death leaves behind does not keep its name from the next job.
func TestNameAfterDeath(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		first := b.dies(stepFence)
		b.send("one", "one", false, echo).want(intake.Ack, "")
		first.await()
		b.change = nil
		b.end()
		b.start(b.t.Context(), nil)
		two := b.send("two", "two", false, strings.Replace(echo, `"hi"`, `"two"`, 1))
		time.Sleep(time.Minute)
		two.want(intake.Ack, "")
		if r := b.record.results; len(r) != 1 || r[0].Job != "two" || r[0].Stdout != "two\n" {
			t.Errorf("results %+v", r)
		}
		if left := b.docker.all(); len(left) != 1 || left[0].Labels[identity.LabelJob] != "one" || !strings.HasPrefix(left[0].Name, "dispatch-ended-") {
			t.Errorf("containers %+v", left)
		}
	})
}
