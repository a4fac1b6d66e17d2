package dockerapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
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
// An exit is also that of a restart. In the event a label "exitCode" of the container or its image replaces the exit code:
// inspect has the true one. Cancelling ctx ends join, and closes the connection even if join is never called.
func (c *Client) WatchExits(ctx context.Context, label string) (join func(exited func(id string, s ExitStatus)) error, err error) {
	r := newRequest(opEvents, label)
	r.query.filters(map[string][]string{"type": {"container"}, "event": {"die"}, "label": {label}})
	r.query.set("since", "0")
	r.buffer = readBuffer // many events come at once
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
		e, ok := parseEvent(line)
		if !ok {
			return s.broken(&garbledError{start: excerpt(line), err: errors.New("no event")})
		}
		if string(e.action) != "die" {
			continue
		}
		var status ExitStatus
		if code, err := strconv.Atoi(string(e.exitCode)); err == nil {
			status.Code = knownExit(&code)
		}
		exited(string(e.id), status)
	}
}

// An event is what counts of an event of the engine: the texts between the quotes, with their escapes.
type event struct{ action, id, exitCode []byte }

// parseEvent returns an event from its JSON object. It looks at brackets and strings only: a decoder took most of the time
// that an event cost. A label cannot pass for anything else, because the quotes in it are escaped.
func parseEvent(line []byte) (e event, ok bool) {
	line = bytes.TrimSpace(line)
	var keys [4][]byte // the last key of each object that is open
	for i, depth := 0, 0; i < len(line); i++ {
		switch line[i] {
		case '{', '[':
			if depth++; depth < len(keys) {
				keys[depth] = nil
			}
		case '}', ']':
			if depth--; depth <= 0 {
				return e, line[0] == '{' && i == len(line)-1
			}
		case '"':
			n := stringEnd(line[i+1:])
			if n < 0 {
				return e, false
			}
			text := line[i+1 : i+1+n]
			i += n + 1
			switch isKey := bytes.HasPrefix(bytes.TrimLeft(line[i+1:], " "), []byte(":")); {
			case depth >= len(keys):
			case isKey:
				keys[depth] = text
			case depth == 1 && string(keys[1]) == "Action":
				e.action = text
			case depth == 2 && string(keys[1]) == "Actor" && string(keys[2]) == "ID":
				e.id = text
			case depth == 3 && string(keys[1]) == "Actor" && string(keys[2]) == "Attributes" && string(keys[3]) == "exitCode":
				e.exitCode = text
			}
		}
	}
	return e, false
}

// stringEnd returns the index of the quote that ends the string at the start of text, or -1.
func stringEnd(text []byte) int {
	end := bytes.IndexByte(text, '"')
	if end < 0 || bytes.IndexByte(text[:end], '\\') < 0 {
		return end
	}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i
		case '\\':
			i++
		}
	}
	return -1
}
