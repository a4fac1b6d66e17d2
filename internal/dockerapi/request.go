package dockerapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	maxErrorBody = 1 << 20  // bytes read of the text of an error answer
	maxAnswer    = 4 << 20  // bytes read of an answer
	maxList      = 64 << 20 // bytes read of a list: 30,000 containers
	maxDrain     = 64 << 10 // bytes read to keep a connection

	// maxRepeated is how much longer a text can be in an answer. Podman describes the command of a container three times,
	// and writes "<" as six bytes. Docker describes it twice, and writes the three bytes of U+2028 as six.
	maxRepeated = 18
)

// request is one call. It holds no version and no connection, so it can be repeated.
type request struct {
	operation

	method string
	path   string // after the version, escaped
	query  query
	body   []byte // JSON; nil: no body
	auth   string // X-Registry-Auth, a secret; "": none
	needs  []need // features that older engines ignore or do not know

	refused error // why r cannot be sent; nil: it can

	// upgrade asks for the raw connection in both directions, for attach and exec.
	upgrade bool

	// replayable means that a repeated call does no harm, as with any GET and HEAD. It is sent again if the engine was
	// just closing the kept connection.
	replayable bool

	buffer int // bytes of the buffer of a long call, which has a connection of its own; 0: a short call

	most int64 // maximum bytes read of the answer; at least maxAnswer

	until time.Time // when operation.limit has passed; zero: not sent yet
}

// An operation is what a request asks for, as errors name it.
type operation struct {
	*Call
	target string // the object

	// limit is for the engine to answer, besides the end of the context. do and open set it unless the call has its own.
	limit time.Duration
}

// newRequest returns the request of an operation, by its row of calls.
func newRequest(op, target string) *request {
	r := &request{operation: operation{Call: callOf(op), target: target}}
	r.method, r.path, _ = strings.Cut(r.Route, " ")
	return r
}

// container returns the request of an operation on a container.
func container(op, id string) *request {
	r := newRequest(op, id)
	// The engine writes names with a leading slash.
	r.fill("{id}", "container name or id", strings.TrimPrefix(id, "/"))
	return r
}

// fill puts a name into the path in place of a placeholder. what says in errors what the name is. An empty name makes a
// double slash, and the engine redirects that to another endpoint. Dots and slashes could also lead to another endpoint.
func (r *request) fill(placeholder, what, name string) {
	switch {
	case name == "":
		r.refuse("the %s is empty", what)
	case name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		r.refuse("%q is not a %s", shorten(name, 100), what)
	}
	r.path = strings.Replace(r.path, placeholder, url.PathEscape(name), 1)
}

// marshal sets the body.
func (r *request) marshal(v any) {
	var err error
	if r.body, err = json.Marshal(v); err != nil {
		r.refuse("%v", err)
	}
}

// refuse makes do and open return an error without sending r. The first refusal counts.
func (r *request) refuse(format string, args ...any) {
	if r.refused == nil {
		r.refused = &Error{Op: r.op, Target: r.target, Message: fmt.Sprintf(format, args...)}
	}
}

// wrap prefixes err with the operation and its target. An error of the caller's context stays unwrapped.
func (r *request) wrap(err error) error {
	if isContextError(err) {
		return err
	}
	return fmt.Errorf("%s: %w", describe(r.op, r.target), err)
}

// do makes a short call on a kept connection. It decodes the answer's JSON into into, unless that is nil.
// The error is an *Error if the engine answered, ErrUnreachable if not, or the bare error of ctx.
func (c *Client) do(ctx context.Context, r *request, into any) error {
	limit := c.limits.change
	if r.method == http.MethodGet {
		limit = c.limits.read
	}
	r.limit = cmp.Or(r.limit, limit)
	return c.versioned(ctx, r, func(a answer) error {
		defer a.close()
		if into == nil {
			return nil
		}
		return a.decode(ctx, r, into)
	})
}

// call sends r, and returns when the header of the answer has been read. A short call takes a kept connection. If the
// engine closed that in this moment, a replayable call is sent on another one. The error is a *dialError only if nothing
// of r was sent on any connection.
func (c *Client) call(ctx context.Context, r *request, prefix string) (answer, error) {
	if r.until.IsZero() { // else the limit's time runs already
		r.until = time.Now().Add(r.limit)
	}
	var lost error // of a connection on which r was sent
	for {
		if ctx.Err() != nil {
			return answer{}, ctx.Err()
		}
		var conn *connection
		if r.op != "" && r.buffer == 0 { // a ping shows that the engine's address can be reached, so it connects anew
			conn = c.kept.take()
		}
		isNew := conn == nil
		if isNew {
			var err error
			if conn, err = c.connect(ctx, r, cmp.Or(r.buffer, readBuffer)); err != nil {
				return answer{}, c.broken(ctx, r.operation, cmp.Or(lost, err))
			}
		}
		// Only closing the connection ends both a blocked read and a blocked write.
		unhook := context.AfterFunc(ctx, conn.abort)
		resp, err := c.ask(conn, r, prefix)
		stale := !isNew && conn.unsent // what was received, if anything, is no answer to r
		if err == nil && !stale {
			resp.last = resp.last || r.buffer > 0
			return answer{resp, c, conn, unhook}, nil
		}
		unhook()
		conn.abort()
		safe := r.replayable || r.method == http.MethodGet || r.method == http.MethodHead
		if !stale && (isNew || !safe || !conn.unanswered() || errors.Is(err, os.ErrDeadlineExceeded)) {
			return answer{}, c.broken(ctx, r.operation, err)
		}
		if !stale {
			lost = err
		}
	}
}

// write writes r as it is sent to b. prefix is "/v1.41", or "" for a ping without a pinned version.
func (r *request) write(b *bytes.Buffer, host Host, prefix string) {
	b.Grow(512 + len(r.auth) + len(r.body))
	add := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
	}
	add(r.method, " ", host.base, prefix, r.path)
	if len(r.query) > 0 {
		add("?", string(r.query))
	}
	add(" HTTP/1.1\r\nHost: ", host.header(), "\r\nUser-Agent: docker-dispatch\r\n")
	if r.auth != "" {
		add("X-Registry-Auth: ", r.auth, "\r\n")
	}
	if r.upgrade {
		add("Connection: Upgrade\r\nUpgrade: tcp\r\n")
	}
	if r.body != nil {
		add("Content-Type: application/json\r\n")
	}
	if r.body != nil || r.method == http.MethodPost {
		// Also without a body: the engine's start refuses a chunked body even if that is empty.
		add("Content-Length: ", strconv.Itoa(len(r.body)), "\r\n")
	}
	add("\r\n")
	b.Write(r.body)
}

// broken returns the error of a call without an answer: the bare error of the caller's context if that ended,
// else ErrUnreachable.
func (c *Client) broken(ctx context.Context, o operation, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// A dial's deadline comes from the context, and can pass an instant before the context's timer fires.
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	var dial *dialError // its text already names the limit on connecting
	if !errors.As(err, &dial) && errors.Is(err, os.ErrDeadlineExceeded) {
		err = noAnswer(o.limit)
	}
	return &unreachableError{doing: describe(o.op, o.target), host: c.host, doubt: o.doubt, err: err}
}

// withoutID returns the error of a JSON answer without a container id. Such an answer does not come from an engine.
func (c *Client) withoutID(ctx context.Context, r *request) error {
	return c.broken(ctx, r.operation, &garbledError{err: errors.New("no container id in its answer")})
}

func isContextError(err error) bool {
	return err == context.Canceled || err == context.DeadlineExceeded
}
