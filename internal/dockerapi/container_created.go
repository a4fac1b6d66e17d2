package dockerapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// RemembersCreation tells whether the engine's process is the one that created
// the container, as far as it can prove that: it keeps its last 256 events in
// memory, and the creation is among them. Only such an engine can be believed
// that it never started the container: one that was killed in a start, and
// started anew, says so of a container whose command has run.
//
// API: GET /events.
func (c *Client) RemembersCreation(ctx context.Context, ctr Container) (bool, error) {
	return c.remembers(ctx, ctr, "create",
		// By the engine's clock. What lies behind it is answered at once, and
		// the answer ends there.
		strconv.FormatInt(ctr.Created.Unix()-1, 10), strconv.FormatInt(ctr.Created.Add(creationTakes).Unix(), 10),
		func(map[string]string) bool { return true })
}

// RemembersKill tells whether the engine was asked, by whomever, to send that
// signal to a container that has ended, as far as it remembers: its last 256
// events. A signal that did not come by the engine is unknown to it.
//
// API: GET /events.
func (c *Client) RemembersKill(ctx context.Context, ctr Container, signal int) (bool, error) {
	return c.remembers(ctx, ctr, "kill",
		strconv.FormatInt(ctr.State.StartedAt.Unix(), 10), strconv.FormatInt(ctr.State.FinishedAt.Unix()+1, 10),
		func(attributes map[string]string) bool { return attributes["signal"] == strconv.Itoa(signal) })
}

// remembers tells whether the engine has an event of a container in memory.
func (c *Client) remembers(ctx context.Context, ctr Container, action, since, until string, is func(attributes map[string]string) bool) (bool, error) {
	filters, err := json.Marshal(map[string][]string{"container": {ctr.ID}, "event": {action}})
	if err != nil {
		return false, err
	}
	r := &request{
		op: opEvents, target: ctr.ID,
		method: http.MethodGet, path: "/events",
		query: url.Values{
			"filters": {string(filters)},
			"since":   {since},
			"until":   {until},
		},
		want: []int{http.StatusOK}, limit: c.limits.header,
	}
	limited, cancel := context.WithTimeout(ctx, 2*creationTakes)
	defer cancel()
	s, err := c.open(limited, r)
	if err != nil {
		return false, err
	}
	defer s.close()
	events := json.NewDecoder(io.LimitReader(s.body, maxErrorBody))
	for {
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
		case limited.Err() != nil && ctx.Err() == nil: // its clock is behind
			return false, nil
		default:
			return false, s.broken(err)
		}
	}
}

// creationTakes is how long behind the time that a container has for its
// creation the event of that may come.
const creationTakes = 10 * time.Second
