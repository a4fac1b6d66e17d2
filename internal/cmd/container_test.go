package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestOneContainer: a reference is the container that the engine says it is, and no other.
func TestOneContainer(t *testing.T) {
	const retrying = `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep"],"Options":{"Name":"job","Attach":["STDOUT"],"Retry":{"Max":1,"On":["killed"]}}}`
	for _, command := range []string{
		`{"Dockercmd":"stop","Container":%q}`, `{"Dockercmd":"kill","Container":%q}`, `{"Dockercmd":"remove","Container":%q,"Options":{"Force":true}}`,
	} {
		for _, short := range []int{1, 2, 3} { // the other's name begins the job's id
			onBench(t, nil, func(b *bench) {
				other := b.leave("other", "running", nil)
				job := b.send("m", "one", false, retrying)
				own := b.docker.named(t, "job")
				ref := own.ID[:len(own.ID)-short]
				b.docker.mu.Lock()
				other.Name = ref
				b.docker.mu.Unlock()
				b.send("end", "two", false, fmt.Sprintf(command, ref)).want(Ack, "")
				job.unsettled()
				if !own.State.Running {
					t.Errorf("%s %s: the job's container was ended", command, ref)
				}
				own.exit(137)
				synctest.Wait()
				if job.want(Ack, ReasonKilled); len(job.agains) != 1 {
					t.Errorf("%s %s: the job is not tried again", command, ref)
				}
			})
		}
		onBench(t, nil, func(b *bench) { // by the beginning of its id, where that is no name
			job := b.send("m", "one", false, retrying)
			id := b.docker.named(t, "job").ID
			b.send("end", "two", false, fmt.Sprintf(command, id[:len(id)-2])).want(Ack, "")
			if job.want(Ack, ReasonExit); b.result().Retrying {
				t.Errorf("%s: the job is tried again", command)
			}
		})
	}
}

// swaps is an engine where a container gets another's name as soon as somebody has looked at that.
type swaps struct{ *fakeDocker }

func (s swaps) InspectContainer(ctx context.Context, id string) (dockerapi.Container, error) {
	c, err := s.fakeDocker.InspectContainer(ctx, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil && id == "web" {
		s.byID[c.ID].Name, s.byID["later"].Name = "renamed", "web"
	}
	return c, err
}

// TestRenamedMeanwhile: a command hits the container that it looked at.
func TestRenamedMeanwhile(t *testing.T) {
	for _, rest := range []string{
		`"stop","Container":"web"`, `"kill","Container":"web"`, `"remove","Container":"web","Options":{"Force":true}`, `"restart","Container":"web"`,
		`"pause","Container":"web"`, `"rename","Container":"web","NewName":"more"`, `"exec","Container":"web","Cmd":["true"],"Options":{"Detach":true}`,
		`"logs","Container":"web"`, `"inspect","Container":"web"`,
	} {
		onBench(t, func(c *Config) {
			c.Docker, c.Policy = swaps{c.Docker.(*fakeDocker)}, &Policy{Trust: true}
		}, func(b *bench) {
			b.leave("web", "running", nil)
			b.docker.byID["later"] = &fakeContainer{engine: b.docker, Container: dockerapi.Container{ID: "later", Name: "later", State: dockerapi.State{Status: "running", Running: true}}}
			b.send("m", "id", false, `{"Dockercmd":`+rest+`}`).want(Ack, "")
			if r := b.result(); r.ContainerName != "web" {
				t.Errorf("%s: result %+v", rest, r)
			}
			if calls := b.docker.did(); slices.ContainsFunc(calls, func(c string) bool { return strings.HasSuffix(c, " web") }) {
				t.Errorf("%s: calls %q", rest, calls)
			}
			if c := b.docker.named(t, "later"); !c.State.Running || c.State.Paused || c.exec != nil || c.Name != "web" {
				t.Errorf("%s: the other one: %+v", rest, c.Container)
			}
		})
	}
}

// TestDoneBefore: a change that has been made already is a success to the message that comes again, and to no other.
func TestDoneBefore(t *testing.T) {
	for _, tt := range []struct {
		body   string
		reason string // of the message that was not delivered before
	}{
		{`{"Dockercmd":"remove","Container":"gone"}`, ReasonNoSuchContainer},
		{`{"Dockercmd":"remove","Job":"gone"}`, ReasonNoSuchContainer},
		{`{"Dockercmd":"rename","Container":"gone","NewName":"web"}`, ReasonNoSuchContainer},
		{`{"Dockercmd":"stop","Container":"web"}`, ""},
	} {
		for _, again := range []bool{false, true} {
			onBench(t, nil, func(b *bench) {
				b.leave("web", "exited", nil)
				want := tt.reason
				if again {
					want = ""
				}
				b.send("m", "id", again, tt.body).want(Ack, want)
			})
		}
	}
}
