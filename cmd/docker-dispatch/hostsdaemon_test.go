package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
	amqp "github.com/rabbitmq/amqp091-go"
)

// TestHostsOfDaemons: daemons with --host share a queue. hosts and ps show both. When one is lost for good and released, its job
// runs on the other. Both have one engine here, so the test removes the container of the lost one.
func TestHostsOfDaemons(t *testing.T) {
	t.Parallel()
	l := newLab(t, "quorum")
	l.forgetHost("alpha")
	l.forgetHost("beta")
	alpha := l.start("--host", "alpha", "-c", "1", "--host-label", "gpu=yes", "--format", "json")
	beta := l.start("--host", "beta", "-c", "1", "--format", "json")
	for _, p := range []*process{alpha, beta} {
		p.awaitLog("taking messages")
	}
	for i := range 2 {
		l.publish(publication{fmt.Sprint("long", i), runMessage("", "sleep 1000")})
	}
	var atAlpha, atBeta string
	l.statuses("each runs one", func(all []status.Status) bool {
		if len(all) != 2 || all[0].Host != "alpha" || all[1].Host != "beta" || len(all[0].Running.Jobs) != 1 || len(all[1].Running.Jobs) != 1 {
			return false
		}
		atAlpha, atBeta = all[0].Running.Jobs[0].Job, all[1].Running.Jobs[0].Job
		return all[0].Running.Jobs[0].Phase == "started" && all[1].Running.Jobs[0].Phase == "started"
	})
	if got, want := l.hosts(), "HOST STATE RUNNING WAITING LABELS\nalpha alive 1 0 gpu=yes\nbeta alive 1 0\n"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if text := l.succeeds("", "ps", "-q", l.queue); !regexp.MustCompile(`(?m)^alpha +` + atAlpha + ` +run .*\n^beta +` + atBeta + ` +run `).MatchString(text) {
		t.Errorf("ps:\n%s", text)
	}

	beta.cmd.Process.Kill()
	<-beta.exited
	for _, c := range l.containers() {
		if c.Labels[identity.LabelJob] == atBeta {
			if err := l.engine.RemoveContainer(context.Background(), c.ID, dockerapi.RemoveOptions{Force: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.broker.Send(l.queue+".control", amqp.Publishing{MessageId: "stop", Body: []byte(`{"Dockercmd": "stop", "Job": "` + atAlpha + `", "Options": {"Time": 0}}`)})
	l.eventually("beta's message waits for it", func() bool {
		return strings.HasSuffix(l.hosts(), "\nalpha alive 0 0 gpu=yes\nbeta not seen since T - 2\n") // with its note
	})
	if got, want := l.succeeds("", "hosts", "release", "-q", l.queue, "--yes", "beta"), "beta is released: 1 message put back onto "+l.queue+"\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	l.statuses("alpha runs beta's job", func(all []status.Status) bool {
		return len(all) == 1 && len(all[0].Running.Jobs) == 1 && all[0].Running.Jobs[0].Job == atBeta
	})

	// beta comes back. A container of its life before the release is left.
	stale := l.leave(publication{"stale", "{}"}, "stale-"+l.serial, func(c *dockerapi.ContainerConfig) {
		c.Labels[identity.LabelHost], c.Labels[identity.LabelBroker] = "beta.0", intake.Place{VHost: "/"}.String()
	})
	beta = l.start("--host", "beta")
	beta.awaitLog(`containers=1 hint="docker rm -f $(docker ps -aq --filter label=docker-dispatch.host=beta.0)"`)
	if _, err := l.engine.InspectContainer(t.Context(), stale); err != nil {
		t.Error(err)
	}
	beta.stop()
	beta = l.start("--host", "beta", "--remove-stale")
	beta.awaitLog("taking messages")
	beta.awaitLog(`msg="removed a container of a former life of this host" container=stale-` + l.serial)
	if got, want := l.hosts(), "HOST STATE RUNNING WAITING LABELS\nalpha alive 1 0 gpu=yes\nbeta alive 0 0\n"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
