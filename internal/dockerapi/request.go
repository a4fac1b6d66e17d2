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
	maxErrorBody = 1 << 20  // bytes read of the text of an error answer
	maxAnswer    = 4 << 20  // bytes read of an answer
	maxList      = 64 << 20 // bytes read of a list: 30,000 containers
	maxDrain     = 64 << 10 // bytes read to keep a connection
)

// request is one call. It holds no version and no connection, so it can be repeated.
type request struct {
	op     string // the operation, for errors: "start container"; "" for a ping
	target string // the object of the operation, for errors

	method string
	path   string     // after the version, escaped
	query  url.Values // nil: none
	body   []byte     // JSON; nil: no body
	want   []int      // the success statuses
	auth   string     // X-Registry-Auth, a secret; "": none
	doubt  string     // the unknown after a lost connection: "it may have been created"
	needs  []need     // features that older engines ignore or do not know

	// upgrade asks for the raw connection in both directions, for attach and exec.
	upgrade bool

	// replayable means that a repeated call does no harm. net/http then sends it again if the engine was just
	// closing the kept connection. Without this mark net/http does so for GET and HEAD only.
	replayable bool

	most int64 // maximum bytes read of the answer; at least maxAnswer

	limit time.Duration // time limit besides the caller's context; 0: none
}

// container returns the request for an endpoint below /containers/{id}.
func container(op, method, id, endpoint string) (*request, error) {
	r := &request{op: op, target: id, method: method}
	// The engine writes names with a leading slash.
	id = strings.TrimPrefix(id, "/")
	if err := r.checkSegment("container name or id", id); err != nil {
		return nil, err
	}
	r.path = "/containers/" + url.PathEscape(id) + endpoint
	return r, nil
}

// checkSegment returns an error if s cannot be a path segment. An empty segment makes a double slash, and the engine
// redirects that to another endpoint. Dots and slashes could also lead to another endpoint.
func (r *request) checkSegment(what, s string) error {
	switch {
	case s == "":
		return r.refuse("the %s is empty", what)
	case s == "." || s == ".." || strings.ContainsAny(s, "/\x00"):
		return r.refuse("%q is not a %s", shorten(s, 100), what)
	}
	return nil
}

// refuse returns the error of a request that is not sent.
func (r *request) refuse(format string, args ...any) error {
	return &Error{Op: r.op, Target: r.target, Message: fmt.Sprintf(format, args...)}
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

// roundTrip sends r on a kept connection, and returns when the header of the answer has been read.
// ctx is the caller's. limited is ctx with r's limit, and must live until the body has been read.
func (c *Client) roundTrip(ctx, limited context.Context, r *request, prefix string) (*http.Response, error) {
	resp, err := c.pool.RoundTrip(c.newRequest(limited, r, prefix))
	if err != nil {
		return nil, c.broken(ctx, limited, r, err)
	}
	return resp, nil
}

// newRequest returns r as a net/http request. prefix is "/v1.41", or "" for a ping.
func (c *Client) newRequest(ctx context.Context, r *request, prefix string) *http.Request {
	escaped := c.host.base + prefix + r.path
	path, err := url.PathUnescape(escaped)
	if err != nil { // the package escaped all parts, or ParseHost checked them
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
		// For a POST without a body this sends "Content-Length: 0". The engine's start requires it:
		// it refuses a chunked body even if that is empty.
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
		req.Header["Idempotency-Key"] = []string{} // a mark for net/http; nothing is sent
	}
	return req
}

// broken returns the error of a call without an answer: the bare error of the caller's context if that ended,
// else ErrUnreachable.
func (c *Client) broken(ctx, limited context.Context, r *request, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// The connection's deadline comes from the context, and can pass an instant before the context's timer fires.
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	var dial *dialError // its text already names the limit on connecting
	if !errors.As(err, &dial) && (limited.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		err = noAnswer(r.limit)
	}
	return &unreachableError{doing: describe(r.op, r.target), host: c.host, doubt: r.doubt, err: err}
}

// undecodable returns the error of an answer with a success status that was cut off, or that no engine sends.
// The effect of the call is then as unknown as without an answer.
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

// withoutID returns the error of a JSON answer without a container id. Such an answer does not come from an engine.
func (c *Client) withoutID(ctx context.Context, r *request) error {
	return c.broken(ctx, ctx, r, &garbledError{err: errors.New("no container id in its answer")})
}

// drain reads the short rest of a body and closes it, so the connection can be kept.
// If the rest is long, closing the body closes the connection.
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

// flag sets a boolean query key. The engine treats a missing key as false.
func flag(query url.Values, key string, on bool) {
	if on {
		query.Set(key, "1")
	}
}
