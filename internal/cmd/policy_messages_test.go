package cmd

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/policy"
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
	onBench(t, func(c *Config) { c.Policy = &policy.Policy{Trust: true} }, func(b *bench) {
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
			policy *policy.Policy
			denied bool
		}{
			"made by hand":       {map[string]string{}, nil, true},
			"of another queue":   {map[string]string{LabelJob: "a job", LabelQueue: "another"}, nil, true},
			"labelled by hand":   {map[string]string{LabelQueue: "q"}, nil, true},
			"of this queue":      {map[string]string{LabelJob: "a job", LabelQueue: "q"}, nil, false},
			"any is allowed":     {map[string]string{}, &policy.Policy{Containers: policy.AnyContainers}, false},
			"publishers trusted": {map[string]string{}, &policy.Policy{Trust: true}, false},
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
