package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// shownLines is how many lines of a job's output are shown before those to come.
const shownLines = "500"

// ErrNoLog is the error of Output if a job has no log that can be read.
var ErrNoLog = errors.New("no log")

// Output writes what the log of a job's container has: the last lines, and what follows until the container exits or ctx ends.
// It finds the jobs that Status shows. The container of a run with Remove is gone after its end, and its log with it.
func (p *Pool) Output(ctx context.Context, job string, w io.Writer) error {
	id := cmp.Or(p.jobs.ContainerByJob(job), p.tally.Container(job))
	if id == "" {
		return fmt.Errorf("%w: the job %q has no container here", ErrNoLog, job)
	}
	c, err := p.Docker.InspectContainer(ctx, id)
	if errors.Is(err, dockerapi.ErrNoSuchContainer) {
		return fmt.Errorf("%w: the container of the job %q was removed, and its log with it", ErrNoLog, job)
	}
	if err != nil {
		return err
	}
	join, err := p.Docker.ContainerLogs(ctx, c.ID, dockerapi.LogsOptions{Follow: true, Stdout: w, Stderr: w, Tty: c.Tty, Tail: shownLines})
	if err == nil {
		err = join()
	}
	if errors.Is(err, dockerapi.ErrLogsUnreadable) {
		return fmt.Errorf("%w: the container's log driver %q keeps none; choose one that does, such as local", ErrNoLog, c.LogDriver)
	}
	return err
}
