package dockerapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// maxEvent bounds an event of [Client.WatchExits], in bytes.
const maxEvent = 64 << 10

// WatchExits returns when the engine has opened a stream of the exits of all containers with a label ("key=value", or
// "key"). join then calls exited for each of them, with the container's full id, until the stream ends. It always returns
// an error: [ErrUnreachable], or that of ctx.
//
// The engine repeats the last exits that it remembers, of at most 256 events of any kind: none is missed between the
// header of its answer and its subscription. Later it silently drops events for a reader that is slow. An event of more
// than 64 KiB is skipped. So a missing event does not prove that the container runs.
//
// An exit is also that of a restart. In the event a label "exitCode" of the container or its image, in whatever case,
// replaces the exit code: inspect has the true one. Cancelling ctx ends join, and closes the connection even if join is never called.
//
// API: GET /events.
func (c *Client) WatchExits(ctx context.Context, label string) (join func(exited func(id string, s ExitStatus)) error, err error) {
	filters, err := json.Marshal(map[string][]string{"type": {"container"}, "event": {"die"}, "label": {label}})
	if err != nil {
		return nil, err
	}
	r := newRequest(opEvents, label)
	r.query = url.Values{"filters": {string(filters)}, "since": {"0"}}
	r.want = []int{http.StatusOK}
	r.limit = c.limits.header
	s, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	return s.exits, nil
}

func (s *stream) exits(exited func(id string, s ExitStatus)) error {
	defer s.close()
	events := bufio.NewReaderSize(s.body, maxEvent)
	for {
		line, err := events.ReadSlice('\n')
		tooLong := err == bufio.ErrBufferFull
		for err == bufio.ErrBufferFull {
			_, err = events.ReadSlice('\n')
		}
		if err != nil {
			return s.broken(err)
		}
		if tooLong || len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var event struct {
			Action string
			Actor  struct {
				ID         string
				Attributes struct{ ExitCode string }
			}
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return s.broken(&garbledError{start: excerpt(line), err: err})
		}
		if event.Action != "die" {
			continue
		}
		var status ExitStatus
		if code, err := strconv.Atoi(event.Actor.Attributes.ExitCode); err == nil {
			status.Code = knownExit(&code)
		}
		exited(event.Actor.ID, status)
	}
}
