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
	filters, err := json.Marshal(map[string][]string{"container": {ctr.ID}, "event": {"create"}})
	if err != nil {
		return false, err
	}
	r := &request{
		op: opEvents, target: ctr.ID,
		method: http.MethodGet, path: "/events",
		query: url.Values{
			"filters": {string(filters)},
			// By the engine's clock. What lies behind it is answered at once, and
			// the answer ends there.
			"since": {strconv.FormatInt(ctr.Created.Unix()-1, 10)},
			"until": {strconv.FormatInt(ctr.Created.Add(creationTakes).Unix(), 10)},
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
	var event struct{ Action string }
	switch err := json.NewDecoder(io.LimitReader(s.body, maxErrorBody)).Decode(&event); {
	case err == nil:
		return event.Action == "create", nil
	case err == io.EOF:
		return false, nil
	case limited.Err() != nil && ctx.Err() == nil: // its clock is behind
		return false, nil
	default:
		return false, s.broken(err)
	}
}

// creationTakes is how long behind the time that a container has for its
// creation the event of that may come.
const creationTakes = 10 * time.Second
