package dockerapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strconv"
	"time"
)

// RemembersCreation reports whether the engine's process provably created the
// container: the engine keeps its last 256 events in memory, and the creation
// is among them. Only such an engine can be trusted if it says that the
// container never started. An engine that was killed during a start, and
// restarted, says so even if the command has run.
func (c *Client) RemembersCreation(ctx context.Context, ctr Container) (bool, error) {
	return c.remembers(ctx, ctr, "create",
		// By the engine's clock. If until has passed, the engine answers at
		// once and ends the answer.
		strconv.FormatInt(ctr.Created.Unix()-1, 10), strconv.FormatInt(ctr.Created.Add(creationTakes).Unix(), 10),
		func(map[string]string) bool { return true })
}

// RemembersKill reports whether any client asked the engine to send signal to
// ctr, which has exited. The engine remembers its last 256 events only, and
// knows no signals sent by other means.
func (c *Client) RemembersKill(ctx context.Context, ctr Container, signal int) (bool, error) {
	return c.remembers(ctx, ctr, "kill",
		strconv.FormatInt(ctr.State.StartedAt.Unix(), 10), strconv.FormatInt(ctr.State.FinishedAt.Unix()+1, 10),
		func(attributes map[string]string) bool { return attributes["signal"] == strconv.Itoa(signal) })
}

// remembers reports whether the engine has an event of the container in memory.
func (c *Client) remembers(ctx context.Context, ctr Container, action, since, until string, is func(attributes map[string]string) bool) (bool, error) {
	r := newRequest(opEvents, ctr.ID)
	r.query.filters(map[string][]string{"container": {ctr.ID}, "event": {action}})
	r.query.set("since", since)
	r.query.set("until", until)
	r.limit = c.limits.events
	s, err := c.open(ctx, r)
	if err != nil {
		return false, err
	}
	defer s.close()
	s.conn.SetReadDeadline(r.until)
	body := &io.LimitedReader{R: s.body}
	events := json.NewDecoder(body)
	for {
		body.N = c.longest // an event has the container's labels
		var event struct {
			Action string
			Actor  struct{ Attributes map[string]string }
		}
		switch err := events.Decode(&event); {
		case err == nil && event.Action == action && is(event.Actor.Attributes):
			return true, nil
		case err == nil:
		case err == io.EOF:
			return false, nil
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil: // the engine's clock has not reached until
			return false, nil
		default:
			return false, s.broken(err)
		}
	}
}

// creationTakes is how long after a container's creation time its create event
// may come.
const creationTakes = 10 * time.Second
