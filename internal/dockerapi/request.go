package dockerapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	maxErrorBody = 1 << 20  // bytes read of an error's text
	maxAnswer    = 4 << 20  // bytes read of an answer
	maxList      = 64 << 20 // bytes read of a list: 30,000 containers
	maxDrain     = 64 << 10 // bytes read so that a connection can be kept
)

// request is one call, apart from its version and connection, so that it can be
// made again.
type request struct {
	op     string // what it does, for errors: "start container"; "" for a ping
	target string // what it is done to, for errors

	method string
	path   string     // behind the version, escaped
	query  url.Values // nil: none
	body   []byte     // JSON; nil: no body
	want   []int      // the statuses of success
	auth   string     // X-Registry-Auth, a secret; "": none
	doubt  string     // what a lost connection leaves unknown: "it may have been created"
	needs  []need     // what older engines would not heed, or not know

	// upgrade asks for the connection as such, in both directions, for attach
	// and exec.
	upgrade bool

	// replayable says that doing it twice does no harm, so that net/http may
	// send it again when it had taken a kept connection that the engine was
	// just closing. By itself it does so for GET and HEAD only.
	replayable bool

	most int64 // bytes of the answer that are read; maxAnswer at least

	limit time.Duration // how long we wait, besides the caller's context; 0: as long as that
}

// container makes the request of an endpoint below /containers/{id}.
func container(op, method, id, endpoint string) (*request, error) {
	r := &request{op: op, target: id, method: method}
	// The engine itself writes names with a leading slash.
	id = strings.TrimPrefix(id, "/")
	if err := r.checkSegment("container name or id", id); err != nil {
		return nil, err
	}
	r.path = "/containers/" + url.PathEscape(id) + endpoint
	return r, nil
}

// checkSegment refuses what cannot be a part of a path. An empty one makes a
// double slash, which the engine answers with a redirect to another endpoint;
// dots and slashes could lead to one.
func (r *request) checkSegment(what, s string) error {
	switch {
	case s == "":
		return r.refuse("the %s is empty", what)
	case s == "." || s == ".." || strings.ContainsAny(s, "/\x00"):
		return r.refuse("%q is not a %s", shorten(s, 100), what)
	}
	return nil
}

// refuse is the error of a request that is not sent.
func (r *request) refuse(format string, args ...any) error {
	return &Error{Op: r.op, Target: r.target, Message: fmt.Sprintf(format, args...)}
}

// wrap puts what was to be done before the error of a step towards it. The
// caller's own cancellation stays bare.
func (r *request) wrap(err error) error {
	if isContextError(err) {
		return err
	}
	return fmt.Errorf("%s: %w", describe(r.op, r.target), err)
}

// do makes a short call on a kept connection. The answer's JSON goes into into,
// where that is not nil. Errors are *Error where the engine has answered,
// ErrUnreachable where it has not, or the bare error of ctx.
func (c *Client) do(ctx context.Context, r *request, into any) error {
	return c.versioned(ctx, r, func(prefix string) (http.Header, error) {
		limited, cancel := ctx, context.CancelFunc(func() {})
		if r.limit > 0 {
			limited, cancel = context.WithTimeout(ctx, r.limit)
		}
		defer cancel()
		resp, err := c.roundTrip(ctx, limited, r, prefix)
		if err != nil {
			return nil, err
		}
		defer drain(resp)
		if !slices.Contains(r.want, resp.StatusCode) {
			return resp.Header, c.refusal(r, resp)
		}
		if into == nil {
			return resp.Header, nil
		}
		start := &prefixWriter{max: maxExcerpt}
		most := &io.LimitedReader{R: resp.Body, N: max(r.most, maxAnswer)}
		if err := json.NewDecoder(io.TeeReader(most, start)).Decode(into); err != nil {
			if most.N <= 0 {
				err = &garbledError{err: fmt.Errorf("its answer has more than %d bytes", max(r.most, maxAnswer))}
			}
			return resp.Header, c.undecodable(ctx, limited, r, start.bytes, err)
		}
		return resp.Header, nil
	})
}

// roundTrip sends r on a kept connection and returns when the header of the
// answer has been read. ctx is the caller's; limited is made from it by the
// limit of r, and must live until the body has been read.
func (c *Client) roundTrip(ctx, limited context.Context, r *request, prefix string) (*http.Response, error) {
	resp, err := c.pool.RoundTrip(c.newRequest(limited, r, prefix))
	if err != nil {
		return nil, c.broken(ctx, limited, r, err)
	}
	return resp, nil
}

// newRequest is r as net/http has it. prefix is "/v1.41", or "" for a ping.
func (c *Client) newRequest(ctx context.Context, r *request, prefix string) *http.Request {
	escaped := c.host.base + prefix + r.path
	path, err := url.PathUnescape(escaped)
	if err != nil { // all its parts were escaped by us or checked by ParseHost
		panic("dockerapi: bad path " + escaped)
	}
	req := (&http.Request{
		Method: r.method,
		URL: &url.URL{
			Scheme:   "http", // also under TLS: see New
			Host:     c.host.header(),
			Path:     path,
			RawPath:  escaped,
			RawQuery: r.query.Encode(),
		},
		Host:   c.host.header(),
		Header: http.Header{"User-Agent": {"docker-dispatch"}},
		// With a nil body and a POST: "Content-Length: 0", which start insists
		// on. It refuses a chunked body even if that is empty.
		Body: http.NoBody,
	}).WithContext(ctx)
	if r.body != nil {
		req.Body = io.NopCloser(bytes.NewReader(r.body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		req.ContentLength = int64(len(r.body))
		req.Header.Set("Content-Type", "application/json")
	}
	if r.auth != "" {
		req.Header.Set("X-Registry-Auth", r.auth)
	}
	if r.replayable {
		req.Header["Idempotency-Key"] = []string{} // net/http's mark; nothing is sent
	}
	return req
}

// broken is the error of a call that has no answer: the bare error of the
// caller's context where that is the reason, else ErrUnreachable.
func (c *Client) broken(ctx, limited context.Context, r *request, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// A connection's deadline, taken from the context, can pass an instant
	// before the context's own timer fires.
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	var dial *dialError // has a limit of its own, and has said so
	if !errors.As(err, &dial) && (limited.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		err = noAnswer(r.limit)
	}
	return &unreachableError{doing: describe(r.op, r.target), host: c.host, doubt: r.doubt, err: err}
}

// undecodable is the error of an answer that promised success and was cut off,
// or is not what an engine would say. What was done is as unknown as without
// any answer.
func (c *Client) undecodable(ctx, limited context.Context, r *request, start []byte, err error) error {
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax), errors.As(err, &wrongType):
		err = &garbledError{start: excerpt(start), err: err}
	case err == io.EOF: // no body at all
		err = io.ErrUnexpectedEOF
	}
	return c.broken(ctx, limited, r, err)
}

// withoutID is the error of an answer in JSON that has no container id, and so
// comes from something else than an engine.
func (c *Client) withoutID(ctx context.Context, r *request) error {
	return c.broken(ctx, ctx, r, &garbledError{err: errors.New("no container id in its answer")})
}

// drain reads what little is left of a body and closes it, so that the
// connection can be kept. What is long is cut off with its connection.
func drain(resp *http.Response) {
	io.CopyN(io.Discard, resp.Body, maxDrain)
	resp.Body.Close()
}

// prefixWriter keeps the first max bytes written to it.
type prefixWriter struct {
	bytes []byte
	max   int
}

func (w *prefixWriter) Write(p []byte) (int, error) {
	w.bytes = append(w.bytes, p[:min(len(p), w.max-len(w.bytes))]...)
	return len(p), nil
}

func isContextError(err error) bool {
	return err == context.Canceled || err == context.DeadlineExceeded
}

// flag sets a boolean query key. The engine takes an absent one as false.
func flag(query url.Values, key string, on bool) {
	if on {
		query.Set(key, "1")
	}
}
