package cmd

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/identity"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// cutting is an engine that cuts its stream of exits, and nothing else, before or after a call.
type cutting struct {
	*fakeDocker
	call  string
	after bool
}

func (c cutting) cut(call string, do func()) {
	if call == c.call && !c.after {
		c.cutExits()
	}
	do()
	if call == c.call && c.after {
		c.cutExits()
	}
}

func (c cutting) CreateContainer(ctx context.Context, name string, cfg dockerapi.ContainerConfig) (made dockerapi.Created, err error) {
	c.cut("create", func() { made, err = c.fakeDocker.CreateContainer(ctx, name, cfg) })
	return made, err
}

func (c cutting) AttachContainer(ctx context.Context, id string, o dockerapi.AttachOptions) (join func() error, err error) {
	c.cut("attach", func() { join, err = c.fakeDocker.AttachContainer(ctx, id, o) })
	return join, err
}

func (c cutting) StartContainer(ctx context.Context, id string) (err error) {
	c.cut("start", func() { err = c.fakeDocker.StartContainer(ctx, id) })
	return err
}

func (c cutting) InspectContainer(ctx context.Context, id string) (i dockerapi.Container, err error) {
	c.cut("inspect", func() { i, err = c.fakeDocker.InspectContainer(ctx, id) })
	return i, err
}

// TestExitsCut: wherever the stream breaks off, the program runs once, and its result and output are whole. Then the
// stream is opened again.
func TestExitsCut(t *testing.T) {
	for _, call := range []string{"create", "attach", "start", "inspect", "running"} {
		for _, after := range []bool{false, true} {
			for _, body := range []string{echo, wait} {
				t.Run(fmt.Sprintf("%s after=%v", call, after), func(t *testing.T) {
					onEngine(t, withExits, func(c *Config) { c.Docker = cutting{c.Docker.(*fakeDocker), call, after} }, func(b *bench) {
						d := b.send("m", "id", false, body)
						if body == wait {
							c := b.docker.named(t, "web")
							c.write("stdout", "hi\n")
							time.Sleep(time.Hour)
							if call == "running" {
								b.docker.cutExits()
							}
							if after {
								time.Sleep(time.Minute)
							}
							c.exit(0)
						}
						time.Sleep(time.Minute)
						d.want(intake.Ack, "")
						if r := b.result(); *r.ExitCode != 0 || r.Incomplete || r.Stdout != "hi\n" || r.StdoutBytes != 3 {
							t.Errorf("result %+v", r)
						}
						if n := b.made("start"); n != 1 || b.docker.count() != 0 {
							t.Errorf("started %d times, %d containers left", n, b.docker.count())
						}
						if n := b.awaited(); n != 0 {
							t.Errorf("%d exits are awaited in the end; -1: there is no stream", n)
						}
					})
				})
			}
		}
	}
}

// TestExitsCutAlone: a cut of the stream costs no output, which has a connection of its own, and no wait.
func TestExitsCutAlone(t *testing.T) {
	for what, change := range map[string]func(b *bench, c *fakeContainer){
		"a log that can be read":    func(*bench, *fakeContainer) {},
		"a log that cannot be read": func(b *bench, _ *fakeContainer) { b.docker.unreadable = true },
		"a log that may have been cut": func(_ *bench, c *fakeContainer) {
			c.LogDriver, c.LogOpts = "json-file", map[string]string{"max-size": "1"}
		},
		"no stream for a while": func(b *bench, _ *fakeContainer) { b.docker.noExits = dockerapi.ErrTemporary },
		"no stream any more":    func(b *bench, _ *fakeContainer) { b.docker.noExits = dockerapi.ErrUnauthorized },
		"it exits before the next stream": func(b *bench, c *fakeContainer) {
			b.docker.cutExits()
			synctest.Wait()
			c.write("stdout", "gap\n")
			c.exit(0)
		},
	} {
		t.Run(what, func(t *testing.T) {
			onEngine(t, withExits, nil, func(b *bench) {
				d := b.send("m", "id", false, wait)
				c := b.docker.named(t, "web")
				c.write("stdout", "before\n")
				change(b, c)
				b.docker.cutExits()
				synctest.Wait()
				if c.State.Running {
					c.write("stdout", "gap\n")
					time.Sleep(time.Minute)
					c.exit(0)
				}
				time.Sleep(time.Minute)
				d.want(intake.Ack, "")
				if r := b.result(); *r.ExitCode != 0 || r.Incomplete || r.Stdout != "before\ngap\n" {
					t.Errorf("result %+v", r)
				}
				if logs, attached := b.made("logs"), b.made("attach"); logs > 0 && what != "it exits before the next stream" || attached != 1 {
					t.Errorf("%d reads of the log, %d attaches", logs, attached)
				}
				if b.docker.noExits == nil && c.LogDriver != "json-file" && b.made("wait") > 1 {
					t.Errorf("%d waits", b.made("wait"))
				}
			})
		})
	}
}

// TestAdoptedAwaitsEvent: an adopted run needs no wait of its own either.
func TestAdoptedAwaitsEvent(t *testing.T) {
	onEngine(t, withExits, nil, func(b *bench) {
		c := b.leave("web", "running", identity.Of(intake.Job{Queue: "q", MessageID: "id", Body: []byte(wait)}).Labels(true))
		d := b.send("m", "id", true, wait)
		d.unsettled()
		time.Sleep(time.Minute)
		c.exit(3)
		time.Sleep(time.Minute)
		d.want(intake.Ack, event.ReasonExit)
		if r := b.result(); *r.ExitCode != 3 || b.made("wait") != 0 {
			t.Errorf("result %+v, %d waits", r, b.made("wait"))
		}
	})
}
