package cmd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestPolicyRefuses: a denied message does nothing, and is kept.
func TestPolicyRefuses(t *testing.T) {
	const body = `{"Dockercmd":"run","Image":"busybox","Options":{"Name":"web","Privileged":true,"Remove":true}}`
	onBench(t, nil, func(b *bench) {
		b.send("m", "id", false, body).want(intake.DeadLetter, event.ReasonPolicy)
		if r := b.result(); r.Status != event.Refused || r.Command != "run" {
			t.Errorf("result %+v", r)
		}
		if len(b.docker.did()) != 0 {
			t.Errorf("the engine was asked: %q", b.docker.did())
		}
	})
	onBench(t, func(c *Config) { c.Policy = withPolicy(`{"Trust": true}`) }, func(b *bench) {
		b.send("m", "id", false, body).unsettled()
		b.docker.named(t, "web").exit(0)
	})
}

// TestPolicyForeignContainers: no command reaches a container that no message of the queue has made, however it names it,
// unless the operator allows that.
func TestPolicyForeignContainers(t *testing.T) {
	for _, command := range []string{
		`"stop"`, `"kill"`, `"remove","Options":{"Force":true}`, `"restart"`, `"start"`, `"pause"`, `"unpause"`, `"wait"`,
		`"rename","NewName":"other"`, `"exec","Cmd":["true"]`, `"logs"`, `"inspect"`,
	} {
		for what, tt := range map[string]struct {
			labels map[string]string
			policy func() *policy.Policy
			denied bool
		}{
			"made by hand":       {map[string]string{}, nil, true},
			"of another queue":   {map[string]string{identity.LabelJob: "a job", identity.LabelQueue: "another"}, nil, true},
			"labelled by hand":   {map[string]string{identity.LabelQueue: "q"}, nil, true},
			"of this queue":      {map[string]string{identity.LabelJob: "a job", identity.LabelQueue: "q"}, nil, false},
			"any is allowed":     {map[string]string{}, withPolicy(`{"Containers": "any"}`), false},
			"publishers trusted": {map[string]string{}, withPolicy(`{"Trust": true}`), false},
		} {
			for _, ref := range []string{"web", "id-of-web"} {
				t.Run(command+" "+what+" by "+ref, func(t *testing.T) {
					onBench(t, func(c *Config) { c.Policy = tt.policy }, func(b *bench) {
						c := b.leave("web", "running", tt.labels)
						before := c.State
						d := b.post("m", "id", false, fmt.Sprintf(`{"Container":%q,"Dockercmd":%s}`, ref, command))
						synctest.Wait()
						if !tt.denied {
							b.endExecs(c)
							if d.reason == event.ReasonPolicy {
								t.Errorf("denied: %+v", b.result())
							}
							return
						}
						d.want(intake.DeadLetter, event.ReasonPolicy)
						if text := b.result().Error; !strings.Contains(text, fmt.Sprintf(" of the container %q:", ref)) {
							t.Errorf("the error names the container otherwise than the message: %s", text)
						}
						b.docker.mu.Lock()
						defer b.docker.mu.Unlock()
						if calls := b.docker.calls; len(calls) != 1 || calls[0] != "inspect" || c.State != before {
							t.Errorf("calls %q", calls)
						}
					})
				})
			}
		}
	}
}

// TestPolicyForeignName: a redelivered rename does not take a container that it could not have renamed for its own.
func TestPolicyForeignName(t *testing.T) {
	for _, ours := range []bool{false, true} {
		onBench(t, nil, func(b *bench) {
			labels := map[string]string{}
			if ours {
				labels = nil // of this queue
			}
			b.leave("other", "running", labels)
			d := b.send("m", "id", true, `{"Dockercmd":"rename","Container":"web","NewName":"other"}`)
			if got := b.result().Status; ours != (got == event.Succeeded) {
				t.Errorf("ours %v: %s, %q", ours, got, d.reason)
			}
		})
	}
}

// TestPolicyLooks: a volume and a network that exist are looked at, because their names do not say what they are.
func TestPolicyLooks(t *testing.T) {
	const id = "0a1b2c3d4e5f"
	for _, tt := range []struct{ options, policy, want string }{ // want "": carried out
		{`"Volume": "plain:/v"`, `{}`, ""},
		{`"Volume": "none:/v"`, `{}`, ""},
		{`"Volume": "etc:/v"`, `{}`, `the volume "etc": denied, because it has a driver's options`},
		{`"Mount": "type=volume,src=etc,dst=/v"`, `{}`, `the volume "etc": denied`},
		{`"Mount": "src=nfs,dst=/v"`, `{}`, `the volume "nfs": denied`},
		{`"Volume": ["plain:/a", "etc:/v"]`, `{"Allow": {"Volume": "plain"}}`, `Options.Volume: "etc": denied`},
		{`"Volume": "etc:/v"`, `{"Allow": {"Volume": ["e*"]}}`, ""},
		{`"Volume": "etc:/v"`, `{"Trust": true}`, ""},
		{`"Network": "` + id + `"`, `{}`, `Options.Network: "` + id + `": denied, because it is the id of a network`},
		{`"Network": "0a"`, `{}`, `Options.Network: "0a": denied`},
		{`"Network": ["db", "0a"]`, `{}`, `Options.Network: "0a": denied`},
		{`"Network": "db"`, `{}`, ""},
		{`"Network": "0a"`, `{"Allow": {"Network": "0a"}}`, ""},
		{`"Network": "0a"`, `{"Allow": {"Network": "*"}}`, ""},
		{`"Network": "0a"`, `{"Allow": {"Network": "*"}, "Deny": {"Network": "host"}}`, `Options.Network: "0a": denied`},
	} {
		for _, verb := range []string{"run", "create"} {
			onBench(t, func(c *Config) { c.Policy = withPolicy(tt.policy) }, func(b *bench) {
				b.docker.volumes = map[string]dockerapi.Volume{
					"plain": {Name: "plain", Driver: "local"}, "nfs": {Name: "nfs", Driver: "nfs"},
					"etc": {Name: "etc", Driver: "local", Options: map[string]string{"o": "bind", "device": "/etc"}},
				}
				host := dockerapi.Network{Name: "host", ID: id}
				b.docker.networks = map[string]dockerapi.Network{"db": {Name: "db"}, id: host, "0a": host}
				d := b.send("m", "id", false, fmt.Sprintf(`{"Dockercmd": %q, "Image": "busybox", "Options": {%s}}`, verb, tt.options))
				if tt.want == "" {
					d.want(intake.Ack, "")
					return
				}
				d.want(intake.DeadLetter, event.ReasonPolicy)
				if got := b.result().Error; !strings.HasPrefix(got, tt.want) || b.docker.count() != 0 {
					t.Errorf("%s: got %s, %d containers", tt.options, got, b.docker.count())
				}
			})
		}
	}
}

// TestUsersShare: a user's runs wait for the user's share, and meanwhile others' runs have the slots.
func TestUsersShare(t *testing.T) {
	onBench(t, func(c *Config) {
		c.Concurrency, c.Policy = 2, withPolicy(`{"Users": {"ci": {"Max": {"Jobs": 1}}}}`)
	}, func(b *bench) {
		run := func(user, name string) *delivery {
			b.user = user
			return b.send(name, name, false, strings.Replace(wait, `"web"`, fmt.Sprintf("%q", name), 1))
		}
		running := func() (names []string) {
			for _, c := range b.docker.all() {
				if c.State.Status == "running" {
					names = append(names, c.Name)
				}
			}
			slices.Sort(names)
			return names
		}
		run("ci", "ci-1")
		b.user = "ci"
		b.command(`{"Dockercmd": "exec", "Container": "ci-1", "Cmd": ["true"]}`).unsettled() // by the control queue it waits too
		second := run("ci", "ci-2")
		run("ci", "ci-3")
		run("", "other")
		if got := running(); !slices.Equal(got, []string{"ci-1", "other"}) {
			t.Fatalf("running %q", got)
		}
		second.unsettled()
		b.docker.named(t, "ci-1").exit(0)
		synctest.Wait()
		if got := running(); !slices.Equal(got, []string{"ci-2", "other"}) {
			t.Errorf("running %q after the first has ended", got)
		}
		for _, name := range []string{"ci-2", "ci-3", "other"} {
			b.docker.named(t, name).exit(0)
			synctest.Wait()
		}
	})
}

// TestOutputCeiling: a container that writes more than the policy allows is stopped, and its job has failed.
func TestOutputCeiling(t *testing.T) {
	for _, timeout := range []time.Duration{0, time.Hour} {
		onBench(t, func(c *Config) { c.Timeout, c.Policy = timeout, withPolicy(`{"Max": {"Output": 10}}`) }, func(b *bench) {
			d := b.send("m", "id", false, wait)
			c := b.docker.named(t, "web")
			c.write("stdout", "12345")
			c.write("stderr", "12345")
			synctest.Wait()
			d.unsettled()
			c.write("stderr", "1")
			synctest.Wait()
			d.want(intake.Ack, event.ReasonOutput)
			if r := b.result(); r.Status != event.Failed || !strings.HasPrefix(r.Error, "killed after 10 bytes of output, the most it may write (exit code ") {
				t.Errorf("result %+v", r)
			}
		})
	}
}

// TestDeniedReply: nothing is published to a reply_to that the policy denies, whatever becomes of the message.
func TestDeniedReply(t *testing.T) {
	for _, to := range []string{"other", "jobs.control"} {
		for _, body := range []string{echo, `{"Dockercmd": "stop"`, `{"Dockercmd": "stop", "Container": "nono"}`} {
			policy := `{"Allow": {"ReplyTo": "answers-*"}}`
			if to == "jobs.control" {
				policy = `{}`
			}
			onBench(t, func(c *Config) { c.Policy = withPolicy(policy) }, func(b *bench) {
				var answers []string
				b.change = b.answering(to+"\x00", new(fakeStream), &answers, func() error { return nil })
				d := b.send("m", "id", false, body)
				d.want(intake.DeadLetter, event.ReasonPolicy)
				if want := []string{"results refused (containers: 0)"}; !slices.Equal(answers, want) {
					t.Errorf("%s, %s: answers %q, want %q", to, body, answers, want)
				}
			})
		}
	}
}

// TestDeniedJoins: who may not send a message does not get the result of the same message from somebody who may.
func TestDeniedJoins(t *testing.T) {
	onBench(t, func(c *Config) {
		c.Policy = withPolicy(`{"Allow": {"Command": "stop"}, "Users": {"release": {"Allow": {"Command": "*"}}}}`)
	}, func(b *bench) {
		var answers []string
		b.user = "release"
		first := b.send("first", "id", false, wait)
		b.user, b.change = "alice", b.answering("alices", new(fakeStream), &answers, func() error { return nil })
		b.send("second", "id", false, wait)
		b.docker.named(t, "web").exit(0)
		synctest.Wait()
		first.want(intake.Ack, "")
		b.send("third", "id", false, wait)
		for _, a := range answers {
			if strings.HasPrefix(a, "alices ") {
				t.Errorf("answers %q", answers)
			}
		}
	})
}

// TestStricterPolicy: a container that runs when the daemon is started with a stricter policy is followed to its end, and
// none is made.
func TestStricterPolicy(t *testing.T) {
	onBench(t, func(c *Config) { c.Policy = withPolicy(`{"Deny": {"Image": "*"}}`) }, func(b *bench) {
		c := b.leave("web", "running", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(wait)}).Labels(true))
		d := b.send("m", "id", true, wait)
		d.unsettled()
		c.exit(3)
		synctest.Wait()
		d.want(intake.Ack, event.ReasonExit)
		b.send("n", "other", true, strings.Replace(wait, "web", "other", 1)).want(intake.DeadLetter, event.ReasonPolicy)
		if n := b.docker.count(); n != 0 {
			t.Errorf("%d containers", n)
		}
	})
}

// TestContainersOfUser: where the policy says so, a command reaches only containers that messages of its user made.
func TestContainersOfUser(t *testing.T) {
	for user, reason := range map[string]string{"ci": "", "": event.ReasonPolicy, "other": event.ReasonPolicy} {
		onBench(t, func(c *Config) { c.Policy = withPolicy(`{"Containers": "user"}`) }, func(b *bench) {
			b.leave("web", "running", identity.Of(intake.Job{Queue: "q", MessageID: "id", User: "ci", Body: []byte(wait)}).Labels(false))
			b.user = user
			b.send("m", "stop", false, `{"Dockercmd": "pause", "Container": "web"}`)
			if r := b.result(); r.Reason != reason {
				t.Errorf("%q: %+v", user, r)
			}
		})
	}
}

// TestPolicyReadAgain: a policy that has been read again holds for the messages that come then.
func TestPolicyReadAgain(t *testing.T) {
	now := withPolicy(`{"Deny": {"Image": "*"}}`)
	onEngine(t, withExits, func(c *Config) { c.Policy = func() *policy.Policy { return now() } }, func(b *bench) {
		b.send("m", "1", false, wait).want(intake.DeadLetter, event.ReasonPolicy)
		now = withPolicy(`{}`)
		d := b.send("m", "2", false, wait)
		d.unsettled()
		b.docker.named(t, "web").exit(0)
		synctest.Wait()
		d.want(intake.Ack, "")
	})
}

// withPolicy returns the policy of a file with that text.
func withPolicy(text string) func() *policy.Policy {
	p, err := policy.Parse([]byte(text))
	if err != nil {
		panic(err)
	}
	return func() *policy.Policy { return p }
}
