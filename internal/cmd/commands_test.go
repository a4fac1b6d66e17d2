package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/recent"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestCommands carries out each command that is one call, also where its answer was lost, and where the
// message had been delivered before and was carried out then.
func TestCommands(t *testing.T) {
	for _, tt := range []struct {
		command, options string
		state            string // of the container before
		call             string
		twice            string // the reason when it is carried out a second time; "" where that succeeds
	}{
		{"start", ``, "exited", "start", ""},
		{"stop", `"Signal":"INT"`, "running", "stop", ""},
		{"restart", `"Time":3`, "running", "restart", ""},
		{"kill", `"Signal":"HUP"`, "running", "kill HUP", ""},
		{"pause", ``, "running", "pause", ""},
		{"unpause", ``, "paused", "unpause", ""},
		{"rename", ``, "running", "rename", ""},
		{"remove", `"Force":true`, "running", "remove", ""},
	} {
		body := fmt.Sprintf(`{"Dockercmd":%q,"Container":"web","Options":{%s}}`, tt.command, tt.options)
		if tt.command == "rename" {
			body = `{"Dockercmd":"rename","Container":"web","NewName":"other"}`
		}
		t.Run(tt.command, func(t *testing.T) {
			onBench(t, nil, func(b *bench) {
				b.leave("web", tt.state, nil)
				b.send("m", "id", false, body).want(intake.Ack, "")
				if r := b.result(); r.Status != event.Succeeded || r.Command != tt.command {
					t.Errorf("result %+v", r)
				}
				if calls := strings.Join(b.docker.did(), ","); strings.Count(calls, tt.call) != 1 {
					t.Errorf("calls %s", calls)
				}
			})
			onBench(t, nil, func(b *bench) { // the answer is lost
				b.leave("web", tt.state, nil)
				b.docker.after[tt.call] = []error{errCut}
				d := b.post("m", "id", false, body)
				time.Sleep(time.Minute)
				d.want(intake.Ack, "")
			})
			onBench(t, nil, func(b *bench) { // done by an earlier process
				b.leave("web", tt.state, nil)
				b.send("m", "", false, body).want(intake.Ack, "")
				b.send("again", "", true, body).want(intake.Ack, tt.twice)
			})
			onBench(t, nil, func(b *bench) {
				d := b.send("m", "id", false, body)
				d.want(intake.Ack, event.ReasonNoSuchContainer)
			})
		})
	}
	t.Run("conflicts", func(t *testing.T) {
		for _, body := range []string{
			`{"Dockercmd":"kill","Container":"web"}`, `{"Dockercmd":"pause","Container":"web"}`, `{"Dockercmd":"unpause","Container":"web"}`,
			`{"Dockercmd":"exec","Container":"web","Cmd":["true"]}`,
		} {
			onBench(t, func(c *Config) { c.Policy = withPolicy(`{"Trust": true}`) }, func(b *bench) {
				b.leave("web", "exited", nil)
				b.send("m", "id", false, body).want(intake.DeadLetter, event.ReasonConflict)
			})
		}
	})
}

// TestStartsOnce: a start or restart whose answers are lost is not made again once the container has started.
func TestStartsOnce(t *testing.T) {
	for _, tt := range []struct{ command, state string }{{"start", "exited"}, {"start", "created"}, {"restart", "running"}, {"restart", "exited"}} {
		for _, done := range []int{0, 2} { // after so many calls that were not carried out
			t.Run(tt.command+" "+tt.state, func(t *testing.T) {
				onBench(t, nil, func(b *bench) {
					b.leave("web", tt.state, nil)
					time.Sleep(time.Second)
					b.docker.before[tt.command] = slices.Repeat([]error{errCut}, done)
					b.docker.after[tt.command] = slices.Repeat([]error{errCut}, 100)
					d := b.post("m", "id", false, fmt.Sprintf(`{"Dockercmd":%q,"Container":"web"}`, tt.command))
					time.Sleep(time.Minute)
					d.want(intake.Ack, "")
					calls := 0
					for _, c := range b.docker.did() {
						if strings.HasPrefix(c, tt.command) {
							calls++
						}
					}
					if calls != done+1 {
						t.Errorf("%d calls, want %d: %q", calls, done+1, b.docker.did())
					}
				})
			})
		}
	}
}

func TestKillIsAsked(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		run := b.send("run", "1", false, wait)
		b.send("kill", "2", false, `{"Dockercmd":"kill","Container":"web"}`).want(intake.Ack, "")
		run.want(intake.Ack, "")
	})
}

func TestCreateCommand(t *testing.T) {
	const body = `{"Dockercmd":"create","Image":"busybox","Cmd":["echo","hi"],"Options":{"Name":"web"}}`
	onBench(t, nil, func(b *bench) {
		b.send("m", "id", false, body).want(intake.Ack, "")
		if r := b.result(); r.Status != event.Succeeded || r.ContainerID == "" || r.Image != "busybox" {
			t.Errorf("result %+v", r)
		}
		if c := b.docker.named(t, "web"); c.State.Status != "created" || c.Labels[identity.LabelJob] != "id" || c.Labels[identity.LabelRemove] != "false" {
			t.Errorf("container %+v", c.Container)
		}
		// The same message again, to a process that does not know the job: its container is there.
		time.Sleep(recent.For + time.Second)
		b.send("again", "id", true, body).want(intake.Ack, "")
		b.send("another", "id2", false, body).want(intake.DeadLetter, event.ReasonNameConflict)
		if b.docker.count() != 1 {
			t.Errorf("%d containers", b.docker.count())
		}
	})
}

func TestWaitCommand(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		run := b.send("run", "1", false, strings.Replace(wait, `,"Remove":true`, "", 1))
		w := b.send("wait", "2", false, `{"Dockercmd":"wait","Container":"web"}`)
		w.unsettled()
		stop := b.send("stop", "3", false, `{"Dockercmd":"stop","Container":"web"}`) // does not wait for the wait
		stop.want(intake.Ack, "")
		run.want(intake.Ack, "")
		w.want(intake.Ack, "")
		for _, r := range b.record.results {
			if r.Command == "wait" && (r.Status != event.Succeeded || r.ExitCode == nil || *r.ExitCode != 143) {
				t.Errorf("result %+v", r)
			}
		}
	})
}

func TestLogsCommand(t *testing.T) {
	onBench(t, func(c *Config) { c.Policy = withPolicy(`{"Trust": true}`) }, func(b *bench) {
		c := b.leave("web", "running", nil)
		b.send("m", "id", false, `{"Dockercmd":"logs","Container":"web"}`).want(intake.Ack, "")
		if r := b.result(); r.Stdout != "before\n" || r.Status != event.Succeeded || r.ExitCode != nil {
			t.Errorf("result %+v", r)
		}
		b.record.output = nil
		follow := b.send("follow", "id2", false, `{"Dockercmd":"logs","Container":"web","Options":{"Follow":true}}`)
		follow.unsettled()
		c.write("stdout", "more\n")
		c.exit(0)
		time.Sleep(time.Minute)
		follow.want(intake.Ack, "")
		if r := b.result(); r.Stdout != "before\nmore\n" || r.Incomplete {
			t.Errorf("result %+v", r)
		}
	})
}

func TestInspectCommand(t *testing.T) {
	onBench(t, func(c *Config) { c.Policy = withPolicy(`{"Trust": true}`) }, func(b *bench) {
		b.leave("web", "running", nil)
		b.send("m", "id", false, `{"Dockercmd":"inspect","Container":"web"}`).want(intake.Ack, "")
		want := "[\n    {\n        \"Id\": \"id-of-web\",\n        \"Name\": \"/web\"\n    }\n]\n"
		if got := b.result().Stdout; got != want {
			t.Errorf("output %q, want %q", got, want)
		}
	})
}

func TestExecCommand(t *testing.T) {
	trust := func(c *Config) { c.Policy = withPolicy(`{"Trust": true}`) }
	t.Run("in a job's container", func(t *testing.T) {
		onBench(t, nil, func(b *bench) {
			run := b.send("run", "1", false, wait)
			e := b.send("exec", "2", false, `{"Dockercmd":"exec","Container":"web","Cmd":["ls","-l"],"Options":{"Stdin":"in\n","User":"nobody","Env":["A=b"]}}`)
			e.unsettled()
			c := b.docker.named(t, "web")
			if got := fmt.Sprint(c.exec.config); got != "{[ls -l] [A=b] nobody  false false true true true}" {
				t.Errorf("exec %s", got)
			}
			c.endExec(7)
			time.Sleep(time.Minute)
			e.want(intake.Ack, event.ReasonExit)
			r := b.result()
			if r.Command != "exec" || *r.ExitCode != 7 || r.Stdout != "in\nls -l\n" || r.Incomplete || r.ContainerName != "web" {
				t.Errorf("result %+v", r)
			}
			c.exit(0)
			synctest.Wait()
			run.want(intake.Ack, "")
		})
	})
	t.Run("it never ran", func(t *testing.T) {
		for words, reason := range map[string]string{
			`OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown`: event.ReasonCommandNotFound,
			`OCI runtime exec failed: exec failed: unable to start container process: exec: "/etc": permission denied: unknown`:                    event.ReasonNotExecutable,
			"unable to find user nobodyx: no matching entries in passwd file":                                                                      event.ReasonEngine,
		} {
			onBench(t, trust, func(b *bench) {
				c := b.leave("web", "running", nil)
				body, err := json.Marshal(map[string]any{"Dockercmd": "exec", "Container": "web", "Cmd": []string{words}})
				if err != nil {
					t.Fatal(err)
				}
				d := b.send("m", "id", false, string(body))
				b.docker.mu.Lock()
				c.exec.neverRan = true
				b.docker.mu.Unlock()
				c.endExec(126)
				time.Sleep(time.Minute)
				d.want(intake.DeadLetter, reason)
				if r := b.result(); r.Status != event.Errored || r.Stdout != words+"\n" || r.EngineError != strings.TrimSuffix(words, ": unknown") && r.EngineError != words {
					t.Errorf("result %+v", r)
				}
			})
		}
	})
	t.Run("its container is stopped", func(t *testing.T) {
		for code, want := range map[int]event.Status{137: event.Stopped, 3: event.Failed, 0: event.Succeeded} {
			onBench(t, nil, func(b *bench) {
				b.send("run", "1", false, strings.Replace(wait, `,"Remove":true`, "", 1))
				b.send("exec", "2", false, `{"Dockercmd":"exec","Container":"web","Cmd":["ls"]}`)
				c := b.docker.named(t, "web")
				if code == 137 {
					b.docker.mu.Lock()
					c.exec.code = &code // as soon as its container ends
					b.docker.mu.Unlock()
				} else {
					c.endExec(code)
				}
				b.send("stop", "3", false, `{"Dockercmd":"stop","Container":"web"}`).want(intake.Ack, "")
				c.endExec(code)
				time.Sleep(time.Minute)
				b.record.mu.Lock()
				defer b.record.mu.Unlock()
				for _, r := range b.record.results {
					if r.Command == "exec" && (r.Status != want || *r.ExitCode != code) {
						t.Errorf("exit %d: result %+v", code, r)
					}
				}
				if len(b.record.results) != 3 {
					t.Errorf("%d results", len(b.record.results))
				}
			})
		}
	})
	t.Run("a code above 128 is the program's own", func(t *testing.T) {
		for _, code := range []int{129, 137, 143, 255} {
			onBench(t, trust, func(b *bench) {
				c := b.leave("web", "running", nil)
				d := b.send("m", "id", false, `{"Dockercmd":"exec","Container":"web","Cmd":["sh"]}`)
				c.endExec(code)
				time.Sleep(time.Minute)
				d.want(intake.Ack, event.ReasonExit)
				if r := b.result(); r.Status != event.Failed || r.ExitCode == nil || *r.ExitCode != code || r.Error != fmt.Sprintf("exited with code %d", code) {
					t.Errorf("result %+v", r)
				}
			})
		}
	})
	t.Run("detached", func(t *testing.T) {
		onBench(t, trust, func(b *bench) {
			b.leave("web", "running", nil)
			b.send("m", "id", false, `{"Dockercmd":"exec","Container":"web","Cmd":["sleep","9"],"Options":{"Detach":true}}`).want(intake.Ack, "")
			if r := b.result(); r.Status != event.Succeeded || r.ExitCode != nil {
				t.Errorf("result %+v", r)
			}
		})
	})
	for _, name := range []string{"the answer to the start is lost", "the start is lost"} {
		t.Run(name, func(t *testing.T) {
			onBench(t, trust, func(b *bench) {
				c := b.leave("web", "running", nil)
				if name == "the start is lost" {
					b.docker.before["start exec"] = []error{errCut}
				} else {
					b.docker.after["start exec"] = []error{errCut}
				}
				d := b.post("m", "id", false, `{"Dockercmd":"exec","Container":"web","Cmd":["once"]}`)
				time.Sleep(time.Minute)
				d.unsettled()
				c.endExec(0)
				time.Sleep(time.Minute)
				d.want(intake.Ack, "")
				starts := strings.Count(strings.Join(b.docker.did(), ","), "start exec")
				lost := name == "the answer to the start is lost"
				if r := b.result(); r.Incomplete != lost || *r.ExitCode != 0 || starts > 2 || lost && starts != 1 {
					t.Errorf("result %+v, started %d times", r, starts)
				}
			})
		})
	}
	t.Run("engine restarted meanwhile", func(t *testing.T) {
		onBench(t, trust, func(b *bench) {
			b.leave("web", "running", nil)
			d := b.send("m", "id", false, `{"Dockercmd":"exec","Container":"web","Cmd":["once"]}`)
			b.docker.die()
			b.docker.mu.Lock()
			clear(b.docker.byID)
			b.docker.mu.Unlock()
			time.Sleep(time.Minute)
			b.docker.revive()
			time.Sleep(time.Minute)
			d.want(intake.Ack, event.ReasonNoSuchContainer)
			if r := b.result(); !strings.Contains(r.Error, "the program may have done its work") {
				t.Errorf("result %+v", r)
			}
		})
	})
}

func TestPullCommand(t *testing.T) {
	onBench(t, func(c *Config) {
		c.Credentials = func(ctx context.Context, image string) (string, error) { return "for " + image, nil }
	}, func(b *bench) {
		b.docker.before["pull"] = []error{dockerapi.ErrTemporary}
		d := b.post("m", "id", false, `{"Dockercmd":"pull","Image":"new","Options":{"Platform":"linux/arm64"}}`)
		time.Sleep(time.Minute)
		synctest.Wait() // a ping of the engine falls on the same moment
		d.want(intake.Ack, "")
		if r := b.result(); r.Image != "new" || r.Status != event.Succeeded || r.ContainerName != "" {
			t.Errorf("result %+v", r)
		}
		if got := b.docker.pulled; !slices.Equal(got, []dockerapi.PullOptions{{Platform: "linux/arm64", Auth: "for new"}}) {
			t.Errorf("pulled with %+v", got)
		}
		b.docker.before["pull"] = []error{fmt.Errorf("%w: pull access denied", dockerapi.ErrNoSuchImage)}
		b.send("m2", "id2", false, `{"Dockercmd":"pull","Image":"other"}`).want(intake.DeadLetter, event.ReasonNoSuchImage)
	})
}

// TestPullsOnce: two jobs that want one image share its pull.
func TestPullsOnce(t *testing.T) {
	onBench(t, func(c *Config) { c.Concurrency = 9 }, func(b *bench) {
		b.docker.holdPull = make(chan struct{})
		var all []*delivery
		for i := range 5 {
			all = append(all, b.send(fmt.Sprint(i), fmt.Sprint(i), false, fmt.Sprintf(`{"Dockercmd":"run","Image":"new","Cmd":["echo","hi"],"Options":{"Name":"n%d","Attach":"STDOUT"}}`, i)))
		}
		close(b.docker.holdPull)
		synctest.Wait()
		for _, d := range all {
			d.want(intake.Ack, "")
		}
		if n := strings.Count(strings.Join(b.docker.did(), ","), "pull new"); n != 1 {
			t.Errorf("pulled %d times", n)
		}
	})
}

func TestPullOfAMessage(t *testing.T) {
	onBench(t, func(c *Config) { c.Pull = "never" }, func(b *bench) {
		b.send("m", "1", false, `{"Dockercmd":"run","Image":"new","Cmd":["echo","hi"],"Options":{"Attach":"STDOUT"}}`).want(intake.DeadLetter, event.ReasonNoSuchImage)
		b.send("m2", "2", false, `{"Dockercmd":"run","Image":"new","Cmd":["echo","hi"],"Options":{"Attach":"STDOUT","Pull":"missing"}}`).want(intake.Ack, "")
		b.send("m3", "3", false, `{"Dockercmd":"run","Image":"new","Cmd":["echo","hi"],"Options":{"Attach":"STDOUT","Pull":"always"}}`).want(intake.Ack, "")
		if n := strings.Count(strings.Join(b.docker.did(), ","), "pull new"); n != 2 {
			t.Errorf("pulled %d times, want 2", n)
		}
	})
}

// TestTimeoutOfAMessage: a message may ask for less than the daemon allows.
func TestTimeoutOfAMessage(t *testing.T) {
	for _, tt := range []struct{ pool, message, want time.Duration }{
		{0, time.Minute, time.Minute}, {time.Hour, time.Minute, time.Minute}, {time.Minute, time.Hour, time.Minute},
	} {
		onBench(t, func(c *Config) { c.Timeout = tt.pool }, func(b *bench) {
			d := b.send("m", "id", false, strings.Replace(wait, `"Remove"`, fmt.Sprintf(`"Timeout":%q,"Remove"`, tt.message), 1))
			time.Sleep(tt.want - time.Second)
			d.unsettled()
			time.Sleep(2 * time.Second)
			d.want(intake.Ack, event.ReasonTimeout)
		})
	}
}

// TestTimeoutIsTheOperators: a message cannot put the kill off.
func TestTimeoutIsTheOperators(t *testing.T) {
	for _, tt := range []struct{ stopTimeout, want string }{{"", "<nil>"}, {`"StopTimeout":7,`, "7"}, {`"StopTimeout":-1,`, "300"}, {`"StopTimeout":2147483647,`, "300"}} {
		onBench(t, func(c *Config) { c.Timeout, c.Policy = time.Minute, withPolicy(`{"Trust": true}`) }, func(b *bench) {
			b.send("m", "id", false, strings.Replace(wait, `"Remove"`, tt.stopTimeout+`"Remove"`, 1))
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			got := "<nil>"
			if p := b.docker.stopTime; p != nil {
				got = fmt.Sprint(*p)
			}
			if got != tt.want {
				t.Errorf("%s: stopped with %s seconds, want %s", tt.stopTimeout, got, tt.want)
			}
		})
	}
}

// TestSeveralNetworks: an engine that took one only is told of the others before the start.
func TestSeveralNetworks(t *testing.T) {
	onBench(t, nil, func(b *bench) {
		b.send("m", "id", false, `{"Dockercmd":"run","Image":"busybox","Cmd":["echo"],"Options":{"Name":"web","Network":["a","b","c"],"Attach":"STDOUT"}}`).want(intake.Ack, "")
		b.send("create", "id2", false, `{"Dockercmd":"create","Image":"busybox","Options":{"Name":"made","Network":["a","d"]}}`).want(intake.Ack, "")
		calls := strings.Join(b.docker.did(), ",")
		if !strings.Contains(calls, "connect d") {
			t.Errorf("a container that is only created is in one network: %s", calls)
		}
		if !strings.Contains(calls, "connect b") || !strings.Contains(calls, "connect c") || strings.Index(calls, "connect c") > strings.Index(calls, "start") {
			t.Errorf("calls %s", calls)
		}
	})
}
