package dockerapi

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"time"
)

// stream is the connection of a long call, after the header of its answer.
type stream struct {
	client *Client
	ctx    context.Context // the caller's; only to tell why a read failed
	operation
	conn   *connection
	unhook func() bool // detaches conn from ctx
	status int
	raw    bool      // body is conn, in both directions, rather than an HTTP body
	body   io.Reader // what follows the header
}

// open sends a long call on a separate connection, and returns when the header of the answer has arrived.
// At that point the engine has registered the call. From the dial on, cancelling ctx closes the connection,
// whatever the caller does with the stream.
func (c *Client) open(ctx context.Context, r *request) (s *stream, err error) {
	r.limit = cmp.Or(r.limit, c.limits.header)
	r.buffer = cmp.Or(r.buffer, streamBuffer)
	err = c.versioned(ctx, r, func(a answer) error {
		s, err = a.stream(ctx, r)
		return err
	})
	return s, err
}

// stream turns the answer into the stream of its body.
func (a answer) stream(ctx context.Context, r *request) (*stream, error) {
	resp, conn := a.response, a.conn
	if r.upgrade && resp.length >= 0 && resp.status == http.StatusOK {
		a.close()
		return nil, &Error{Op: r.op, Target: r.target, Status: resp.status,
			Message: "the engine's answer is not a stream; a proxy before the engine must allow connection upgrades"}
	}
	conn.SetDeadline(time.Time{})

	s := &stream{
		client: a.client, ctx: ctx, conn: conn, unhook: a.unhook, status: resp.status,
		operation: operation{Call: r.Call, target: r.target},
	}
	if s.raw = resp.status == http.StatusSwitchingProtocols ||
		r.upgrade && resp.length == -1 && !resp.chunked; s.raw {
		s.body = conn.Conn
		// Data that arrived together with the header is in the buffer.
		if n := conn.reader.Buffered(); n > 0 {
			early, _ := conn.reader.Peek(n)
			s.body = io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn.Conn)
		}
		conn.reader, conn.limited = nil, nil // an attach may last for weeks
	} else {
		s.body = resp
	}
	conn.text, resp.header, resp.apiVersion = bytes.Buffer{}, "", "" // the stream may last for weeks
	return s, nil
}

// close ends the stream, even while another goroutine reads or writes it. It may be called again.
func (s *stream) close() {
	s.unhook()
	s.conn.abort()
}

// broken returns the error of a read that failed with err: the context's error if that ended, else ErrUnreachable.
// The data before the break is incomplete, so a plain EOF counts as unexpected.
func (s *stream) broken(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return s.client.broken(s.ctx, s.operation, err)
}

// refused returns an error that the engine reported after the header.
func (s *stream) refused(message string) error {
	return &Error{Op: s.op, Target: s.target, Status: s.status, Message: shorten(oneLine(message), maxMessage)}
}

// copyOutput copies the output of a container until the stream ends, closes it, and returns the error for the caller.
// With tty the output is not framed.
func (s *stream) copyOutput(stdout, stderr io.Writer, tty bool) error {
	defer s.close()
	var err error
	if tty {
		err = copyRaw(s.body, stdout)
	} else {
		err = demux(s.body, stdout, stderr)
	}
	switch err := err.(type) {
	case nil:
		return nil
	case *sinkError:
		return err.err
	case *inBandError:
		return s.refused(err.message)
	default:
		return s.broken(err)
	}
}
