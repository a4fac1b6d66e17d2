package cmd

import (
	"context"
	"fmt"
	"testing"
	"time"

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
