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
		func(rememberedEvent) bool { return true })
}

// RemembersKill tells whether the engine was asked, by whomever, to send that
// signal to a container that has ended, as far as it remembers: its last 256
// events. A signal that did not come by the engine is unknown to it.
//
// API: GET /events.
func (c *Client) RemembersKill(ctx context.Context, ctr Container, signal int) (bool, error) {
	return c.remembers(ctx, ctr, "kill",
		strconv.FormatInt(ctr.State.StartedAt.Unix(), 10), strconv.FormatInt(ctr.State.FinishedAt.Unix()+1, 10),
		func(e rememberedEvent) bool { return e.Actor.Attributes["signal"] == strconv.Itoa(signal) })
}

// outputTakes is how long an engine waits after an exit for the end of the
// container's output. Then it closes the streams, and drops what it has not read.
const outputTakes = 2 * time.Second

// RemembersOutputEnd tells whether the engine remembers that it had read the
// output of a container to its end when it gave the exit out. Where it does
// not, a slow reader of the output may have missed what was written last, and
// the log lacks the same.
//
// API: GET /events.
func (c *Client) RemembersOutputEnd(ctx context.Context, ctr Container) (bool, error) {
	end := ctr.State.FinishedAt
	return c.remembers(ctx, ctr, "die",
		strconv.FormatInt(end.Unix(), 10), strconv.FormatInt(end.Add(outputTakes).Unix(), 10),
		func(e rememberedEvent) bool {
			late := time.Unix(0, e.TimeNano).Sub(end)
			return late >= 0 && late < outputTakes
		})
}

// rememberedEvent is what remembers shows of an event.
type rememberedEvent struct {
	Action   string
	Actor    struct{ Attributes map[string]string }
	TimeNano int64 `json:"timeNano"`
}

// remembers tells whether the engine has an event of a container in memory.
func (c *Client) remembers(ctx context.Context, ctr Container, action, since, until string, is func(rememberedEvent) bool) (bool, error) {
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
		var event rememberedEvent
		switch err := events.Decode(&event); {
		case err == nil && event.Action == action && is(event):
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
