package cmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/hosts"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// TestOneContainer: a reference is the container that the engine says it is, and no other.
func TestOneContainer(t *testing.T) {
	const retrying = `{"Dockercmd":"run","Image":"busybox","Cmd":["sleep"],"Options":{"Name":"job","Attach":["STDOUT"],"Retry":{"Max":1,"On":["exit"]}}}`
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
				b.send("end", "two", false, fmt.Sprintf(command, ref)).want(intake.Ack, "")
				job.unsettled()
				if !own.State.Running {
					t.Errorf("%s %s: the job's container was ended", command, ref)
				}
				own.exit(137)
				synctest.Wait()
				if job.want(intake.Ack, event.ReasonExit); len(job.agains) != 1 {
					t.Errorf("%s %s: the job is not tried again", command, ref)
				}
			})
		}
		onBench(t, nil, func(b *bench) { // by the beginning of its id, where that is no name
			job := b.send("m", "one", false, retrying)
			id := b.docker.named(t, "job").ID
			b.send("end", "two", false, fmt.Sprintf(command, id[:len(id)-2])).want(intake.Ack, "")
			if job.want(intake.Ack, ""); b.result().Retrying {
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
			c.Docker, c.Policy = swaps{c.Docker.(*fakeDocker)}, withPolicy(`{"Trust": true}`)
		}, func(b *bench) {
			b.leave("web", "running", nil)
			b.docker.byID["later"] = &fakeContainer{engine: b.docker, Container: dockerapi.Container{ID: "later", Name: "later", State: dockerapi.State{Status: "running", Running: true}}}
			b.send("m", "id", false, `{"Dockercmd":`+rest+`}`).want(intake.Ack, "")
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
		{`{"Dockercmd":"remove","Container":"gone"}`, event.ReasonNoSuchContainer},
		{`{"Dockercmd":"remove","Job":"gone"}`, event.ReasonNoSuchContainer},
		{`{"Dockercmd":"rename","Container":"gone","NewName":"web"}`, event.ReasonNoSuchContainer},
		{`{"Dockercmd":"stop","Container":"web"}`, ""},
	} {
		for _, again := range []bool{false, true} {
			onBench(t, nil, func(b *bench) {
				b.leave("web", "exited", nil)
				want := tt.reason
				if again {
					want = ""
				}
				b.send("m", "id", again, tt.body).want(intake.Ack, want)
			})
		}
	}
}

// TestNameTakenByOthers: a name that is taken by what the engine does not show, or by a container that is not ours
// and on its way out, is waited for, for a while. Nothing that is not ours is touched.
func TestNameTakenByOthers(t *testing.T) {
	labels := func(queue string) map[string]string {
		return map[string]string{identity.LabelJob: "other", identity.LabelQueue: queue, identity.LabelDigest: "d", identity.LabelRemove: "true"}
	}
	for _, tt := range []struct {
		name   string
		status string // of the container that has it; empty: there is none
		labels map[string]string
	}{
		{"nothing visible", "", nil},
		{"a foreign one that is being removed", "removing", map[string]string{}},
		{"a foreign one that is being removed and never ran", "created", map[string]string{}},
		{"one of another queue that has ended", "exited", labels("another")},
		{"one that says it goes, without a job", "exited", map[string]string{identity.LabelRemove: "true"}},
	} {
		for _, goes := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, goes: %v", tt.name, goes), func(t *testing.T) {
				onBench(t, nil, func(b *bench) {
					words := fmt.Errorf("%w: the name is reserved", dockerapi.ErrNameInUse)
					if tt.status == "" {
						b.docker.before["create"] = slices.Repeat([]error{words}, 1000)
					} else if c := b.leave("web", tt.status, tt.labels); tt.status == "created" {
						c.State.Status = "removing"
					}
					d := b.send("m", "id", false, echo)
					d.unsettled()
					time.Sleep(hosts.Leaving / 2)
					if goes {
						b.docker.mu.Lock()
						delete(b.docker.byID, "id-of-web")
						delete(b.docker.before, "create")
						b.docker.mu.Unlock()
					}
					time.Sleep(hosts.Leaving)
					synctest.Wait()
					if goes {
						d.want(intake.Ack, "")
						return
					}
					d.want(intake.DeadLetter, event.ReasonNameConflict)
					if r := b.result(); !strings.Contains(r.Error, dockerapi.ErrNameInUse.Error()) {
						t.Errorf("result %+v", r)
					}
					if tt.status != "" {
						b.docker.named(t, "web")
					}
					if calls := fmt.Sprint(b.docker.did()); strings.Contains(calls, "rename") || strings.Contains(calls, "remove") || strings.Contains(calls, "kill") {
						t.Errorf("calls %s", calls)
					}
				})
			})
		}
	}
}
