package cmd

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/container"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

const sleeper = `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep"],"Options":{"Attach":["STDOUT"],"Remove":true}}`

// command sends a command by the control queue.
func (b *bench) command(body string) *delivery {
	b.change = func(j *intake.Job) { j.Control = true }
	defer func() { b.change = nil }()
	return b.send(body, "", false, body)
}

// TestJobRef: a job is known by its id, whether it waits, runs, or has left a container.
func TestJobRef(t *testing.T) {
	stop := func(id string) string { return fmt.Sprintf(`{"Dockercmd":"stop","Job":%q}`, id) }
	t.Run("running", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			d := b.send("m", "one", false, sleeper)
			b.command(stop("one")).want(intake.Ack, "")
			if r := b.record.results[0]; r.Command != "stop" && r.Command != "run" || r.ContainerName == "" {
				t.Errorf("result %+v", r)
			}
			d.want(intake.Ack, "")
		})
	})
	t.Run("between create and start", func(t *testing.T) {
		for _, verb := range []string{"stop", "kill"} {
			onBench(t, nil, func(b *bench) {
				b.docker.before["start"] = []error{fmt.Errorf("%w: not yet", dockerapi.ErrTemporary)}
				d := b.send("m", "one", false, sleeper)
				end := b.command(fmt.Sprintf(`{"Dockercmd":%q,"Job":"one"}`, verb))
				end.unsettled()
				time.Sleep(time.Second)
				synctest.Wait()
				end.want(intake.Ack, "")
				d.want(intake.Ack, "")
			})
		}
	})
	t.Run("in order with commands on its container's name", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.send("m", "one", false, `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep"],"Options":{"Name":"web","Attach":["STDOUT"]}}`)
			b.docker.before["stop"] = []error{fmt.Errorf("%w: not yet", dockerapi.ErrTemporary)}
			end := b.command(stop("one"))
			remove := b.command(`{"Dockercmd":"remove","Container":"web","Options":{"Force":true}}`)
			end.unsettled()
			remove.unsettled()
			time.Sleep(time.Minute)
			synctest.Wait()
			end.want(intake.Ack, "")
			remove.want(intake.Ack, "")
		})
	})
	t.Run("waiting", func(t *testing.T) {
		onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
			first := b.send("m", "first", false, sleeper)
			waits := b.send("m", "waits", false, sleeper)
			b.command(stop("waits")).want(intake.Ack, "")
			waits.want(intake.Ack, event.ReasonCancelled)
			first.unsettled()
			if r := b.record.results[len(b.record.results)-1]; b.docker.count() != 1 || len(b.record.started) != 1 {
				t.Errorf("%d containers, %+v", b.docker.count(), r)
			}
			b.send("m", "waits", true, sleeper).want(intake.Ack, "") // settled lately
			b.command(stop("first")).want(intake.Ack, "")
			first.want(intake.Ack, "")
		})
	})
	t.Run("not here yet", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.command(stop("late")).want(intake.Ack, event.ReasonNoSuchContainer)
			b.send("m", "late", false, sleeper).want(intake.Ack, event.ReasonCancelled)
			b.command(`{"Dockercmd":"logs","Job":"other"}`).want(intake.Ack, event.ReasonNoSuchContainer)
			b.command(stop("another"))
			time.Sleep(recent.For)
			b.send("m", "other", false, sleeper).unsettled()
			b.send("m", "another", false, sleeper).unsettled()
			b.command(stop("other"))
			b.command(stop("another"))
		})
	})
	t.Run("left", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			labels := identity.Of(intake.Job{Queue: "q", MessageID: "old", Body: []byte("x")}).Labels(false)
			c := b.leave("web", "running", labels)
			b.command(stop("old")).want(intake.Ack, "")
			if c.State.Running || b.result().ContainerName != "web" {
				t.Errorf("result %+v", b.result())
			}
		})
	})
	t.Run("left before its start", func(t *testing.T) {
		for _, verb := range []string{"stop", "kill"} {
			onBench(t, nil, func(b *bench) {
				message := intake.Job{Queue: "q", MessageID: "old", Body: []byte(sleeper)}
				b.leave(identity.Of(message).ContainerName(""), "created", identity.Of(message).Labels(true))
				b.command(fmt.Sprintf(`{"Dockercmd":%q,"Job":"old"}`, verb)).want(intake.Ack, "")
				b.send("m", "old", true, sleeper).want(intake.Ack, event.ReasonCancelled)
				if n := len(b.record.started); n != 0 {
					t.Errorf("started %d times", n)
				}
			})
		}
	})
	t.Run("created, to be started later", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			b.send("c", "made", false, `{"Dockercmd":"create","Image":"busybox"}`).want(intake.Ack, "")
			b.command(`{"Dockercmd":"kill","Job":"made"}`).want(intake.DeadLetter, event.ReasonConflict)
			b.command(stop("made")).want(intake.Ack, "")
			if n := b.pool.jobs.Size().Cancels; n != 0 {
				t.Errorf("%d jobs are to be refused", n)
			}
		})
	})
	t.Run("between two attempts", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			d := b.send("m", "id", false, retried)
			b.docker.named(t, "web").exit(1)
			synctest.Wait()
			if len(d.agains) != 1 {
				t.Fatal("not tried again")
			}
			b.command(`{"Dockercmd":"kill","Job":"id"}`)
			b.attempt = 2
			b.send("next", "id", false, retried)
			if n := len(b.record.started); n != 1 {
				t.Errorf("started %d times", n)
			}
		})
	})
	t.Run("while it is settled", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			held := make(chan struct{})
			b.beforeAgain = func() { <-held }
			b.send("m", "id", false, retried)
			b.docker.named(t, "web").exit(1)
			synctest.Wait()
			b.command(stop("id")).want(intake.Ack, "")
			close(held)
			synctest.Wait()
			b.attempt = 2
			b.send("next", "id", false, retried).want(intake.Ack, event.ReasonCancelled)
			if r := b.result(); r.Command != "run" || r.Attempt != 2 {
				t.Errorf("result %+v", r)
			}
		})
	})
}

// TestJobRefAtWork: an exec that waits for its job does not hold the place which that waits for.
func TestJobRefAtWork(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
		first := b.send("m", "first", false, sleeper)
		b.send("m", "second", false, sleeper)
		exec := b.send("m", "exec", false, `{"Dockercmd":"exec","Job":"second","Cmd":["ls"],"Options":{"Detach":true}}`)
		b.command(`{"Dockercmd":"kill","Job":"first"}`)
		first.want(intake.Ack, "")
		exec.unsettled() // behind the one place
		b.command(`{"Dockercmd":"kill","Job":"second"}`)
		if len(exec.verdicts) != 1 { // the container is about to go, or has gone
			t.Errorf("the exec is settled %v", exec.verdicts)
		}
	})
}

// TestCancelExec: an exec that waits for its turn can be cancelled too.
func TestCancelExec(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
		first := b.send("m", "first", false, sleeper)
		exec := b.send("m", "exec", false, `{"Dockercmd":"exec","Job":"first","Cmd":["ls"]}`)
		b.command(`{"Dockercmd":"kill","Job":"exec"}`).want(intake.Ack, "")
		exec.want(intake.Ack, event.ReasonCancelled)
		b.command(`{"Dockercmd":"kill","Job":"first"}`)
		first.want(intake.Ack, "")
	})
}

// TestCancelPull: a job whose image is being pulled is cancelled, and another that waits for the image gets it.
func TestCancelPull(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.docker.holdPull = make(chan struct{})
		body := strings.Replace(sleeper, "busybox", "unknown", 1)
		leads := b.send("m", "leads", false, body)
		follows := b.send("m", "follows", false, body)
		b.command(`{"Dockercmd":"stop","Job":"leads"}`).want(intake.Ack, "")
		leads.want(intake.Ack, event.ReasonCancelled)
		follows.unsettled()
		b.command(`{"Dockercmd":"stop","Job":"follows"}`).want(intake.Ack, "")
		follows.want(intake.Ack, event.ReasonCancelled)
		if b.docker.count() != 0 {
			t.Errorf("%d containers", b.docker.count())
		}
	})
}

// TestCancelsOnlyWhatIsToCome: a stop by Job does not refuse the message of a container that is there, nor that of a
// job that is done.
func TestCancelsOnlyWhatIsToCome(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		labels := identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(retried)}).Labels(false)
		labels[identity.LabelAttempt] = "1"
		b.leave("web", "running", labels)
		b.command(`{"Dockercmd":"stop","Job":"id"}`).want(intake.Ack, "")
		b.attempt = 1
		b.send("m", "id", true, retried).want(intake.Ack, "")
		if r := b.result(); !r.Adopted || r.Status != event.Stopped || r.ExitCode == nil {
			t.Errorf("result %+v", r)
		}
	})
	onBench(t, nil, func(b *bench) {
		b.send("m", "id", false, echo).want(intake.Ack, "")
		b.command(`{"Dockercmd":"stop","Job":"id"}`).want(intake.Ack, event.ReasonNoSuchContainer)
		b.record.output = nil
		b.send("m", "id", false, strings.Replace(echo, "hi", "other", 1)).want(intake.Ack, "")
		if len(b.record.started) != 2 {
			t.Errorf("started %d times", len(b.record.started))
		}
	})
}

// TestControl: a command on the control queue waits for no run that has not begun, and needs no place.
func TestControl(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
		named := strings.Replace(sleeper, `"Attach"`, `"Name":"web","Attach"`, 1)
		first := b.send("m", "first", false, sleeper)
		waits := b.send("m", "second", false, named)
		b.command(`{"Dockercmd":"stop","Container":"web"}`).want(intake.Ack, event.ReasonNoSuchContainer)
		waits.unsettled()
		b.command(`{"Dockercmd":"exec","Container":"`+b.record.started[0].ContainerName+`","Cmd":["ls"],"Options":{"Detach":true}}`).want(intake.Ack, "")
		for _, body := range []string{sleeper, `{"Dockercmd":"pull","Image":"busybox"}`} {
			b.command(body).want(intake.DeadLetter, event.ReasonInvalid)
			if !strings.Contains(b.result().Error, `is not accepted on the control queue; send it to the queue "q"`) {
				t.Errorf("%+v", b.result())
			}
		}
		b.command(`{"Dockercmd":"kill","Job":"first"}`)
		first.want(intake.Ack, "")
		waits.unsettled()
		b.command(`{"Dockercmd":"stop","Container":"web"}`).want(intake.Ack, "")
		waits.want(intake.Ack, "")
	})
}

// TestControlWaitsForWhatHasBegun: a stop by name waits for the run that is creating its container, whatever waits
// behind that.
func TestControlWaitsForWhatHasBegun(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.docker.holdPull = make(chan struct{})
		named := strings.Replace(strings.Replace(sleeper, `"Attach"`, `"Name":"web","Attach"`, 1), "busybox", "unknown", 1)
		first := b.send("m", "first", false, named)
		b.send("m", "second", false, named)
		stop := b.command(`{"Dockercmd":"stop","Container":"web"}`)
		stop.unsettled()
		close(b.docker.holdPull)
		synctest.Wait()
		stop.want(intake.Ack, "")
		first.want(intake.Ack, "")
	})
}

func TestJobAndContainer(t *testing.T) {
	for body, want := range map[string]string{
		`{"Dockercmd":"stop"}`:                                       `key "Container" is missing; stop needs the name or id of a container, or a Job`,
		`{"Dockercmd":"stop","Container":"web","Job":"x"}`:           `only one of Container and Job can be given`,
		`{"Dockercmd":"stop","Job":""}`:                              `Job: expected a job's id, got ""`,
		`{"Dockercmd":"rename","Job":"any thing/é","NewName":"new"}`: "",
	} {
		_, err := message.Decode([]byte(body), 0, false)
		if got := fmt.Sprint(err); err == nil && want != "" || err != nil && got != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// TestJobRefsNameIsGuarded: what container a command by Job is for is learned while others come; shown by the race
// detector.
func TestJobRefsNameIsGuarded(t *testing.T) {
	for _, atWork := range []bool{true, false} {
		onBench(t, nil, func(b *bench) {
			d := b.send("m", "one", false, strings.Replace(wait, `,"Remove":true`, "", 1))
			if !atWork {
				b.docker.named(t, "web").exit(0)
				synctest.Wait()
				d.want(intake.Ack, "")
				b.docker.named(t, "web").State.Running = true
			}
			b.change = func(j *intake.Job) { j.Control = true }
			var sent []*delivery
			for range 200 {
				sent = append(sent, b.post("job", "", false, `{"Dockercmd":"kill","Job":"one","Options":{"Signal":"HUP"}}`),
					b.post("container", "", false, `{"Dockercmd":"kill","Container":"web","Options":{"Signal":"HUP"}}`))
			}
			synctest.Wait()
			for _, d := range sent {
				d.want(intake.Ack, "")
			}
			b.change = nil
			if atWork {
				b.docker.named(t, "web").exit(0)
			}
		})
	}
}

// comesAmid is an engine that does something once amid a list.
type comesAmid struct {
	container.Docker
	do func()
}

func (d *comesAmid) ListContainers(ctx context.Context, o dockerapi.ListOptions) ([]dockerapi.ContainerSummary, error) {
	if do := d.do; do != nil {
		d.do = nil
		do()
	}
	return d.Docker.ListContainers(ctx, o)
}

// TestStopBesideItsJob: a job whose message comes while a stop of it looks for its container does not run.
func TestStopBesideItsJob(t *testing.T) {
	engine := new(comesAmid)
	onBench(t, func(c *Config) { engine.Docker = c.Docker; c.Docker, c.Concurrency = engine, 1 }, func(b *bench) {
		b.send("busy", "busy", false, strings.Replace(sleeper, `"Remove"`, `"Name":"busy","Remove"`, 1))
		var later *delivery
		change := b.change
		engine.do = func() { b.change = change; later = b.post("later", "later", false, sleeper); time.Sleep(time.Second) }
		b.command(`{"Dockercmd":"stop","Job":"later"}`).unsettled()
		time.Sleep(time.Minute)
		later.want(intake.Ack, event.ReasonCancelled)
		b.docker.named(t, "busy").exit(0)
		synctest.Wait()
	})
}

// A second stop of a job that was cancelled and is being settled ends with that.
func TestSecondStopOfCancelled(t *testing.T) {
	onBench(t, func(c *Config) { c.Policy = withPolicy(`{"Trust": true}`) }, func(b *bench) {
		c := b.leave("web", "running", nil)
		w := b.send("w", "", false, `{"Dockercmd":"restart","Container":"web","Options":{"Time":86400}}`)
		job := b.send("job", "job", false, echo)
		b.send("behind", "", false, `{"Dockercmd":"start","Container":"web"}`).unsettled()
		b.mu.Lock()
		hold := make(chan struct{})
		job.hold = hold
		b.mu.Unlock()
		b.command(`{"Dockercmd":"stop","Job":"job"}`).want(intake.Ack, "")
		second := b.command(`{"Dockercmd":"stop","Job":"job"}`)
		second.unsettled()
		close(hold)
		time.Sleep(time.Hour)
		job.want(intake.Ack, event.ReasonCancelled)
		w.unsettled()
		second.want(intake.Ack, "")
		c.exit(0)
		synctest.Wait()
	})
}

// TestCreateIsNoJob: a create that has found the container of an earlier process is not what a command for the job means.
func TestCreateIsNoJob(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		body := `{"Dockercmd":"create","Image":"busybox","Options":{"Name":"web"}}`
		i := identity.Of(intake.Job{Queue: "q", Body: []byte(body)})
		i.ID = "J1"
		b.docker.CreateContainer(context.Background(), "web", dockerapi.ContainerConfig{Image: "busybox", Labels: i.Labels(false)})
		hold := make(chan struct{})
		b.beforeFence = func() { <-hold }
		b.send("create", "", true, body)
		b.beforeFence = nil
		b.send("inspect", "3", false, `{"Dockercmd":"inspect","Job":"J1"}`)
		if r := b.result(); strings.Contains(r.Error, "is an exec") {
			t.Errorf("inspect: %s", r.Error)
		}
		b.command(`{"Dockercmd":"kill","Job":"J1"}`)
		if r := b.result(); strings.Contains(r.Error, "is an exec") {
			t.Errorf("kill: %s", r.Error)
		}
		close(hold)
		synctest.Wait()
	})
}

// TestStopOfRefused: a job that was refused has not begun, and is not cancelled any more.
func TestStopOfRefused(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		hold := make(chan struct{})
		b.beforeFence = func() { <-hold }
		b.send("J", "J", false, `{"Dockercmd":"run","Image":"busybox","Options":{"Privileged":true}}`)
		b.beforeFence = nil
		b.command(`{"Dockercmd":"stop","Job":"J"}`)
		close(hold)
		synctest.Wait()
		if r := b.result(); r.Command != "stop" || r.Reason != event.ReasonNoSuchContainer {
			t.Errorf("%+v", r)
		}
	})
}

// TestStopOfSentAgain: of two tasks of one job, the earlier being a dead letter that is not settled yet, a stop means the later.
func TestStopOfSentAgain(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.stores = true
		hold := make(chan struct{})
		b.beforeFence = func() { <-hold }
		b.send("J", "J", false, wait)
		b.beforeFence = nil
		c := b.docker.named(t, "web")
		b.docker.mu.Lock()
		c.end(0)
		c.State.ExitCode = nil // a dead letter
		b.docker.mu.Unlock()
		synctest.Wait()
		again := b.send("again", "J", false, wait)
		b.command(`{"Dockercmd":"stop","Job":"J"}`)
		close(hold)
		synctest.Wait()
		if len(again.verdicts) == 0 {
			t.Errorf("a stop of the job succeeded, and it runs: %q", b.docker.did())
		}
		for _, c := range b.docker.all() {
			c.exit(0)
		}
		synctest.Wait()
	})
}
