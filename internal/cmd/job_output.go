package cmd

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// shownLines is how many lines of a job's output are shown before those to come.
const shownLines = "500"

// Output writes what the log of a job's container has: the last lines, and what follows until the container exits or ctx ends.
// It finds the jobs that Status shows. The container of a run with Remove is gone after its end, and its log with it.
func (p *Pool) Output(ctx context.Context, job string, w io.Writer) error {
	id := cmp.Or(p.jobs.containerByJob(job), p.tally.container(job))
	if id == "" {
		return fmt.Errorf("the job %q has no container here", job)
	}
	c, err := p.Docker.InspectContainer(ctx, id)
	if err != nil {
		return err
	}
	join, err := p.Docker.ContainerLogs(ctx, c.ID, dockerapi.LogsOptions{Follow: true, Stdout: w, Stderr: w, Tty: c.Tty, Tail: shownLines})
	if err != nil {
		return err
	}
	return join()
}

// containerByJob returns the id of the container of a live job, or of that which its exec is in; "": there is none.
func (g *registry) containerByJob(job string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.byJob[job] {
		if id := cmp.Or(t.container, t.within); id != "" {
			return id
		}
	}
	return ""
}
