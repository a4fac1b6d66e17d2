package container

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/logkept"
	"github.com/mutaphore/docker-dispatch/internal/dockerapi"
)

// open connects to the container's streams. Before the start it attaches, which misses nothing. Later it reads the log
// from the beginning and skips the output already seen; without a readable log it attaches.
func (f *following) open(ctx context.Context, begin bool) (join func() error, err error) {
	if !begin && f.out != nil && !f.logless {
		err = f.retry(func() (err error) {
			join, err = f.replay(ctx, true)
			return err
		})
		if !errors.Is(err, dockerapi.ErrLogsUnreadable) {
			return join, err
		}
		f.unreadable()
	}
	o := dockerapi.AttachOptions{Stdout: f.stdout(), Stderr: f.stderr(), Tty: f.run.Spec.Tty}
	input := f.run.Stdin && begin
	if o.Stdout == nil && o.Stderr == nil && !input {
		return func() error { return nil }, nil
	}
	err = f.retry(func() (err error) {
		if input {
			o.Stdin = bytes.NewReader(f.run.Input)
		}
		join, err = f.Carrier.Docker.AttachContainer(ctx, f.id, o)
		return err
	})
	return join, err
}

// catchUp reads missed output from the log of an ended container. Its error is final.
func (f *following) catchUp() error {
	if f.out == nil || !f.missed || f.logless {
		return nil
	}
	err := f.try(func() error {
		join, err := f.replay(f.Ctx, false)
		if err != nil {
			return err
		}
		return join()
	})
	switch {
	case err == nil:
	case final(err):
		return err
	case errors.Is(err, dockerapi.ErrLogsUnreadable):
		f.unreadable()
	default:
		f.lost = true
		f.Log.Warn("output is missing: the container's log cannot be read", "container", f.Name, "error", err)
	}
	return nil
}

// replay reads the container's log from the beginning, and skips the output already seen.
func (f *following) replay(ctx context.Context, follow bool) (join func() error, err error) {
	f.out.Replay(f.logText)
	f.logRead = 0
	weighed := func(w io.Writer) io.Writer {
		if w == nil || f.logKeeps == logkept.All {
			return w
		}
		return logkept.Weight{Writer: w, Total: &f.logRead}
	}
	read, err := f.Carrier.Docker.ContainerLogs(ctx, f.id, dockerapi.LogsOptions{
		Follow: follow, Stdout: weighed(f.stdout()), Stderr: weighed(f.stderr()), Tty: f.run.Spec.Tty,
	})
	if err != nil {
		return nil, err
	}
	return func() error {
		err := read()
		if f.logKeeps != logkept.All && f.logRead >= f.logKeeps && !f.lost {
			f.lost = true
			f.Log.Warn("output may be missing: the container's log is rotated, and may have been cut", "container", f.Name)
		}
		return err
	}, nil
}

// unreadable records that the log driver keeps no readable log.
func (f *following) unreadable() {
	f.out.NoReplay()
	f.logless = true
	if !f.lost {
		f.lost = true
		f.Log.Warn("output is missing: the container's log driver cannot be read", "container", f.Name)
	}
}

func (f *following) stdout() io.Writer {
	if f.out == nil || !f.run.Stdout && !f.run.Spec.Tty {
		return nil
	}
	return &f.out.Stdout
}

func (f *following) stderr() io.Writer {
	if f.out == nil || !f.run.Stderr || f.run.Spec.Tty {
		return nil
	}
	return &f.out.Stderr
}

// captured ends the output, and fills in the result's fields about it.
func (f *following) captured(r *event.Result) {
	if f.out == nil {
		return
	}
	if f.out.Altered() && !f.lost {
		f.lost = true
		f.Log.Warn("output that is not UTF-8 was read from a log that cannot hold it; the log driver local can", "container", f.Name)
	}
	f.out.End(r, f.lost)
}
