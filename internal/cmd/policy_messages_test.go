package cmd

import (
	"testing"

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

// TestPolicyForeignContainers: messages do not get into containers that no message has made.
func TestPolicyForeignContainers(t *testing.T) {
	for _, body := range []string{
		`{"Dockercmd":"exec","Container":"web","Cmd":["true"]}`, `{"Dockercmd":"logs","Container":"web"}`, `{"Dockercmd":"inspect","Container":"web"}`,
	} {
		for _, ours := range []bool{false, true} {
			for _, trust := range []bool{false, true} {
				onBench(t, func(c *Config) { c.Policy = &policy.Policy{Trust: trust} }, func(b *bench) {
					labels := map[string]string{LabelJob: "a job", LabelQueue: "another"}
					if ours {
						labels[LabelQueue] = "q"
					}
					c := b.leave("web", "running", labels)
					d := b.post("m", "id", false, body)
					b.endExecs(c)
					if ours || trust {
						d.want(intake.Ack, "")
					} else {
						d.want(intake.DeadLetter, event.ReasonPolicy)
					}
				})
			}
		}
	}
}
