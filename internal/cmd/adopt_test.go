package cmd

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// leave puts a container on the engine as an earlier process left it. Its program has written
// "before"; where it still runs, the test goes on with it.
func (b *bench) leave(name, status string, labels map[string]string) *fakeContainer {
	if labels == nil { // of another message of the same queue
		labels = map[string]string{identity.LabelJob: "another", identity.LabelQueue: "q"}
	}
	c := &fakeContainer{engine: b.docker}
	c.ID, c.Name, c.Labels, c.Created = "id-of-"+name, name, labels, time.Now()
	c.config.Cmd = []string{"echo", "first start"}
	c.State.Status = status
	switch status {
	case "running", "paused":
		c.State.Running, c.State.Paused = true, status == "paused"
		c.State.StartedAt = time.Now()
	case "exited", "removing":
		c.State.StartedAt, c.State.FinishedAt, c.State.ExitCode = time.Now(), time.Now(), new(4)
	}
	if status != "created" {
		c.log = []chunk{{"stdout", "before\n"}}
	}
	b.docker.mu.Lock()
	defer b.docker.mu.Unlock()
	b.docker.byID[c.ID] = c
	return c
}

// TestAdopt leaves a container in each state, with each way in which a message can be known again.
func TestAdopt(t *testing.T) {
	const body = `{"Dockercmd":"run","Image":"busybox","Cmd":["echo","new"],"Options":{"Attach":["STDOUT"],"Remove":true}}`
	withName := strings.Replace(body, `"Attach"`, `"Name":"web","Attach"`, 1)
	kept := strings.Replace(body, `,"Remove":true`, "", 1)
	keptName := strings.Replace(withName, `,"Remove":true`, "", 1)
	for _, kind := range []struct {
		name, id, body string
		redelivered    bool
		container      string // its name; empty: as derived
		adopted        bool
	}{
		{"message_id", "id", body, true, "", true},
		{"message_id, not marked as redelivered", "id", body, false, "", true},
		{"message_id and Name", "id", withName, false, "web", true},
		{"message_id, container renamed", "id", body, true, "renamed", true},
		{"message_id, kept", "id", kept, false, "", true},
		{"message_id, kept and renamed", "id", kept, true, "renamed", true},
		{"Name", "", withName, true, "web", true},
		{"Name, kept", "", keptName, true, "web", true},
		{"neither", "", body, true, "dispatch-0123456789ab", true},
		{"neither, not marked as redelivered", "", body, false, "dispatch-0123456789ab", false},
		{"neither, kept", "", kept, true, "dispatch-0123456789ab", false},
	} {
		for _, status := range []string{"created", "running", "paused", "exited", "removing", "gone"} {
			t.Run(kind.name+"/"+status, func(t *testing.T) {
				onBench(t, nil, func(b *bench) {
					ident := identity.Of(intake.Job{Queue: "q", MessageID: kind.id, Body: []byte(kind.body)})
					name := kind.container
					if name == "" {
						name = ident.ContainerName("")
					}
					var c *fakeContainer
					if status != "gone" {
						c = b.leave(name, status, ident.Labels(strings.Contains(kind.body, "Remove")))
					}
					d := b.send("m", kind.id, kind.redelivered, kind.body)
					if c != nil && c.State.Running {
						if kind.adopted {
							d.unsettled()
						}
						c.write("stdout", "now\n")
						c.exit(4)
					}
					time.Sleep(time.Minute)

					output, exit := "new\n", 0
					if kind.adopted {
						switch status {
						case "created":
							output = "first start\n"
						case "running", "paused":
							output, exit = "before\nnow\n", 4
						case "exited":
							output, exit = "before\n", 4
						case "removing":
							output, exit = "before\n", 4
						}
					}
					reason := ""
					if exit != 0 {
						reason = event.ReasonExit
					}
					d.want(intake.Ack, reason)
					r := b.result()
					if r.ExitCode == nil || *r.ExitCode != exit || r.Stdout != output || r.Incomplete || len(b.record.results) != 1 {
						t.Errorf("result %+v; want exit code %d, output %q", r, exit, output)
					}
					if want := kind.adopted && status != "created" && status != "gone"; r.Adopted != want {
						t.Errorf("adopted %v, want %v", r.Adopted, want)
					}
					creates := strings.Count(fmt.Sprint(b.docker.did()), "create ")
					if wantCreated := !kind.adopted || status == "gone"; !wantCreated && creates != 0 && b.docker.count() > 1 {
						t.Errorf("a second container was created: %q", b.docker.did())
					}
				})
			})
		}
	}
}

// TestImageWithOurLabels: what an image says under the names of our labels is not what its containers have.
func TestImageWithOurLabels(t *testing.T) {
	for _, image := range []map[string]string{
		{identity.LabelCopy: "x"},
		{identity.LabelAttempt: "7"},
		{identity.LabelCopy: "x", identity.LabelAttempt: "-1", identity.LabelJob: "another", identity.LabelQueue: "q2", identity.LabelDigest: "0", identity.LabelRemove: "maybe", identity.LabelBroker: "v@"},
	} {
		onBench(t, nil, func(b *bench) {
			const body = `{"Dockercmd":"run","Image":"busybox","Options":{"Attach":["STDOUT"],"Remove":true}}`
			ident := identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(body)})
			labels := maps.Clone(image)
			maps.Copy(labels, ident.Labels(true)) // as engines have it
			c := b.leave(ident.ContainerName(""), "running", labels)
			d := b.send("m", "id", true, body)
			d.unsettled()
			c.exit(0)
			time.Sleep(time.Minute)
			d.want(intake.Ack, "")
			if r := b.result(); !r.Adopted || b.docker.count() != 0 {
				t.Errorf("%v: result %+v, %q", image, r, b.docker.did())
			}
		})
	}
}

// TestWarnings: what the engine says when it creates a container is in the result, and with the start.
func TestWarnings(t *testing.T) {
	for _, said := range [][]string{nil, {"Weight discarded."}, {"one", "two"}} {
		for _, body := range []string{
			`{"Dockercmd":"run","Image":"busybox","Cmd":["echo","hi"],"Options":{"Attach":["STDOUT"],"Remove":true}}`,
			`{"Dockercmd":"run","Image":"busybox"}`,
			`{"Dockercmd":"create","Image":"busybox"}`,
		} {
			onBench(t, nil, func(b *bench) {
				b.docker.warnings = said
				b.send("m", "id", false, body)
				time.Sleep(time.Minute)
				if r := b.result(); r.Status != event.Succeeded || !slices.Equal(r.Warnings, said) {
					t.Errorf("%s: result %+v, want %q", body, r, said)
				}
				for _, s := range b.record.started {
					if !slices.Equal(s.Warnings, said) {
						t.Errorf("%s: started %+v, want %q", body, s, said)
					}
				}
			})
		}
	}
}

// TestAdoptRotatedLog: a log that rotation may have cut does not pass for whole.
func TestAdoptRotatedLog(t *testing.T) {
	for _, tt := range []struct {
		driver, size, files string
		incomplete          bool
	}{
		{"json-file", "", "", false},
		{"json-file", "10m", "3", false},
		{"json-file", "10m", "", true}, // one file, which is begun anew when it is full
		{"json-file", "100", "2", true},
		{"local", "", "", false},
		{"local", "100", "2", true},
	} {
		onBench(t, nil, func(b *bench) {
			c := b.leave("web", "exited", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(echo)}).Labels(true))
			c.LogDriver, c.LogOpts = tt.driver, map[string]string{"max-size": tt.size, "max-file": tt.files}
			b.send("m", "id", true, echo)
			if r := b.result(); r.Incomplete != tt.incomplete || r.Stdout != "before\n" {
				t.Errorf("%+v: result %+v", tt, r)
			}
		})
	}
}

// TestStoppedBeforeAdopted: a message that stops the container of a former process comes before the message of its run. The run is
// stopped all the same, and not tried again. It is not if the engine refuses the stop.
func TestStoppedBeforeAdopted(t *testing.T) {
	const body = `{"Dockercmd":"run","Image":"busybox","Cmd":["x"],"Options":{"Name":"web","Attach":["STDOUT"],"Retry":{"Max":2,"Delay":"1m"}}}`
	for _, tt := range []struct {
		command string
		refused bool
		want    event.Status
	}{
		{`{"Dockercmd":"stop","Container":"web"}`, false, event.Stopped},
		{`{"Dockercmd":"stop","Job":"id"}`, false, event.Stopped},
		{`{"Dockercmd":"kill","Container":"web"}`, false, event.Stopped},
		{`{"Dockercmd":"stop","Container":"web"}`, true, event.Failed},
	} {
		t.Run(fmt.Sprint(tt.command, tt.refused), func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				labels := identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(body)}).Labels(false)
				labels[identity.LabelAttempt] = "1"
				c := b.leave("web", "running", labels)
				if tt.refused {
					b.docker.before["stop"] = []error{&dockerapi.Error{Status: 400, Message: "no"}}
				}
				b.send("stop", "s", false, tt.command)
				time.Sleep(time.Minute)
				if tt.refused {
					c.exit(137)
				}
				b.send("m", "id", true, body)
				time.Sleep(time.Second)
				if r := b.result(); r.Job != "id" || r.Status != tt.want || r.Retrying == (tt.want == event.Stopped) {
					t.Errorf("result %+v", r)
				}
			})
		})
	}
}

// TestGivesUp: a message that the engine dies of must not be what it dies of for ever.
func TestGivesUp(t *testing.T) {
	for _, call := range []string{"create", "start"} {
		onBench(t, nil, func(b *bench) {
			for range 2 * maxRetries {
				b.docker.before[call] = append(b.docker.before[call], errCut)
			}
			d := b.send("m", "id", false, echo)
			time.Sleep(time.Hour)
			synctest.Wait()
			d.want(intake.DeadLetter, event.ReasonEngine)
			if n := len(b.docker.before[call]); n != maxRetries-1 {
				t.Errorf("%s tried %d times", call, 2*maxRetries-n)
			}
			if b.docker.count() != 0 {
				t.Error("container left")
			}
			b.docker.before[call] = nil
			b.send("next", "2", false, echo).want(intake.Ack, "")
		})
	}
	// What the engine has made without saying so is removed.
	onBench(t, nil, func(b *bench) {
		b.docker.after["create"] = []error{errCut}
		b.docker.before["create"] = append([]error{nil}, slices.Repeat([]error{errCut}, 100)...)
		b.send("m", "id", false, echo)
		time.Sleep(time.Hour)
		synctest.Wait()
		if r := b.result(); r.Reason != event.ReasonEngine || b.docker.count() != 0 {
			t.Errorf("%d containers, result %+v", b.docker.count(), r)
		}
		b.docker.before["create"] = nil
	})
	// A container that runs is not given up, however often the engine is lost after a while.
	onBench(t, nil, func(b *bench) {
		d := b.send("m", "id", false, wait)
		for range 10 * maxRetries {
			b.docker.die()
			time.Sleep(time.Minute)
			b.docker.revive()
			time.Sleep(2 * time.Minute)
		}
		d.unsettled()
		b.docker.named(t, "web").exit(0)
		time.Sleep(time.Minute)
		d.want(intake.Ack, "")
	})
}

// TestAdoptAfterAbsence: what a container wrote while the engine was away is missing, also where another
// process began to follow it.
func TestAdoptAfterAbsence(t *testing.T) {
	for _, away := range []bool{false, true} {
		onBench(t, nil, func(b *bench) {
			c := b.leave("web", "running", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(echo)}).Labels(true))
			if away {
				b.docker.die()
				b.pool.engine.Lost(errCut)
				time.Sleep(time.Minute)
				b.docker.revive()
				time.Sleep(time.Minute)
			}
			c.exit(0)
			b.send("m", "id", true, echo).want(intake.Ack, "")
			if r := b.result(); r.Incomplete != away {
				t.Errorf("engine away: %v; result %+v", away, r)
			}
		})
	}
}

// TestAdoptBehindRestart: an exit code of a container that had ended before its engine was started again is its own, and
// its output is whole.
func TestAdoptBehindRestart(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		c := b.leave("web", "running", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(echo)}).Labels(true))
		c.exit(3)
		b.docker.die()
		b.docker.revive()
		b.send("m", "id", true, echo).want(intake.Ack, event.ReasonExit)
		if r := b.result(); r.Incomplete || r.ExitCode == nil || *r.ExitCode != 3 {
			t.Errorf("result %+v", r)
		}
	})
}

// TestQuickRestart: an engine that is killed and started again answers each time that it is asked, and has missed what
// its containers wrote all the same. One whose connections were cut has not.
func TestQuickRestart(t *testing.T) {
	for _, killed := range []bool{false, true} {
		onBench(t, nil, func(b *bench) {
			d := b.send("m", "id", false, wait)
			c := b.docker.named(t, "web")
			b.docker.die()
			if !killed {
				b.docker.mu.Lock()
				c.born = b.docker.deaths
				b.docker.mu.Unlock()
			}
			b.docker.revive()
			c.exit(3)
			time.Sleep(time.Minute)
			d.want(intake.Ack, event.ReasonExit)
			if r := b.result(); r.Incomplete != killed {
				t.Errorf("killed: %v; result %+v", killed, r)
			}
		})
	}
}

// slowLog is an engine whose logs take a minute to read, in two halves.
type slowLog struct{ *fakeDocker }

func (s slowLog) ContainerLogs(ctx context.Context, id string, o dockerapi.LogsOptions) (func() error, error) {
	join, err := s.fakeDocker.ContainerLogs(ctx, id, o)
	return func() error {
		io.WriteString(o.Stdout, "bef")
		if err := delay.Sleep(ctx, time.Minute); err != nil {
			return err
		}
		return join()
	}, err
}

// TestStopWhileReplaying: a stop in the middle of a log leaves the job to the next process, which reads
// all of it.
func TestStopWhileReplaying(t *testing.T) {
	onBench(t, func(c *Config) { c.Docker = slowLog{c.Docker.(*fakeDocker)} }, func(b *bench) {
		b.leave("web", "exited", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(echo)}).Labels(true))
		d := b.send("m", "id", true, echo)
		b.close()
		b.stop()
		if left := <-b.done; left != 1 {
			t.Errorf("%d jobs left, want 1", left)
		}
		d.unsettled()
		if len(b.record.results) != 0 || b.docker.count() != 1 {
			t.Errorf("results %+v, %d containers", b.record.results, b.docker.count())
		}
	})
}

// TestAdoptUnreadableLog: without a log, what is still to come is followed all the same.
func TestAdoptUnreadableLog(t *testing.T) {
	for _, late := range []bool{false, true} {
		onBench(t, nil, func(b *bench) {
			b.docker.unreadable, b.docker.saysLate = true, late
			c := b.leave("web", "running", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(echo)}).Labels(true))
			d := b.send("m", "id", true, echo)
			time.Sleep(time.Second)
			c.write("stdout", "now\n")
			synctest.Wait()
			if got := b.record.output["web/stdout"]; got != "now\n" {
				t.Errorf("said late: %v: output while it runs %q", late, got)
			}
			c.exit(0)
			time.Sleep(time.Minute)
			d.want(intake.Ack, "")
			if r := b.result(); !r.Incomplete || r.Stdout != "now\n" {
				t.Errorf("said late: %v: result %+v", late, r)
			}
		})
	}
}

// TestJoinedIsRedelivered: while a job without a message_id waits, its connection is lost, another process gets the message,
// starts the container and dies. The job adopts that container when the message is here again.
func TestJoinedIsRedelivered(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 1 }, func(b *bench) {
		b.send("first", "1", false, named("aa"))
		d := b.send("m", "", false, plain)
		d.lose()
		i := identity.Of(intake.Job{Queue: "q", Body: []byte(plain)})
		c, _ := b.docker.CreateContainer(context.Background(), "theirs", dockerapi.ContainerConfig{Image: "busybox", Cmd: []string{"wait"}, Labels: i.Labels(true)})
		b.docker.StartContainer(context.Background(), c.ID)
		b.send("m again", "", true, plain)
		b.docker.named(t, "aa").exit(0)
		synctest.Wait()
		if n := b.docker.count(); n != 1 {
			t.Errorf("%d containers run, want the other process's alone: %q", n, b.docker.did())
		}
		for _, c := range b.docker.all() {
			c.exit(0)
		}
		synctest.Wait()
	})
}
