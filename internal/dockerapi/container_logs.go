package dockerapi

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"
)

// LogsOptions choose the part of a log to read. Stdout or Stderr must be given.
type LogsOptions struct {
	Follow         bool      // if the container runs, continue until it exits
	Stdout, Stderr io.Writer // nil: not read
	Tty            bool      // the Tty of the container's config: the log has no frames, all goes to Stdout
	Since          time.Time // zero: from the beginning; Podman takes whole seconds only
	Until          time.Time // zero: to the end
	Details        bool      // each line begins with what the log driver adds, such as labels
	Timestamps     bool      // each line begins with its RFC 3339 time in nanoseconds and a space
	Tail           string    // "" or "all": everything; "100": the last 100 lines
}

// ContainerLogs reads the output that a container's log driver has kept, and
// returns when the engine has found the log. join then copies until the log
// ends, or with Follow until the container exits. join ends and fails as in
// [Client.AttachContainer].
//
// Errors: [ErrNoSuchContainer]; [ErrLogsUnreadable] if the driver keeps
// nothing. With Follow on Podman join returns these errors, because only join
// asks for the log.
func (c *Client) ContainerLogs(ctx context.Context, id string, o LogsOptions) (join func() error, err error) {
	r := container(opLogs, id)
	if o.Stdout == nil && o.Stderr == nil {
		r.refuse("neither stdout nor stderr is asked for")
	}
	at := func(key string, t time.Time) {
		if !t.IsZero() {
			r.query.set(key, fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()))
		}
	}
	r.query.flag("details", o.Details)
	r.query.flag("follow", o.Follow)
	at("since", o.Since)
	r.query.flag("stderr", o.Stderr != nil)
	r.query.flag("stdout", o.Stdout != nil)
	if o.Tail != "" && o.Tail != "all" {
		// The engine takes anything else as all.
		if _, err := strconv.ParseUint(o.Tail, 10, 31); err != nil {
			r.refuse("tail %q is neither a number of lines nor all", shorten(o.Tail, 40))
		}
		r.query.set("tail", o.Tail)
	}
	r.query.flag("timestamps", o.Timestamps)
	at("until", o.Until)
	if o.Follow && r.refused == nil && c.podman(ctx) {
		// Podman 4 sends the header of its answer only with the first output.
		r.limit = maxGrace * time.Second
		return func() error {
			s, err := c.open(ctx, r)
			if err != nil {
				return err
			}
			return s.copyOutput(o.Stdout, o.Stderr, o.Tty)
		}, nil
	}
	s, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	return func() error { return s.copyOutput(o.Stdout, o.Stderr, o.Tty) }, nil
}
