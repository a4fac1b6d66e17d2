package dockerapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"time"
)

// stream is the connection of a long call, after the header of its answer.
//
// It is a bare connection, not one of net/http's transport. A transport's connection takes two goroutines and 8 KiB
// of buffers: most of the memory for a running container. Cancelling its request does not end a blocked read
// after a 101.
type stream struct {
	client *Client
	ctx    context.Context // the caller's; only to tell why a read failed
	r      *request
	conn   net.Conn
	unhook func() bool // detaches conn from ctx
	status int
	raw    bool      // body is conn, in both directions, rather than an HTTP body
	body   io.Reader // what follows the header
}

// headerBuffer is the size in bytes of the buffer for an answer's header. A longer header is read in parts.
// The buffer is small because it stays allocated under an HTTP body.
const headerBuffer = 512

// open sends a long call on a separate connection, and returns when the header of the answer has arrived.
// At that point the engine has registered the call. From the dial on, cancelling ctx closes the connection,
// whatever the caller does with the stream.
func (c *Client) open(ctx context.Context, r *request) (*stream, error) {
	var s *stream
	err := c.versioned(ctx, r, func(prefix string) (header http.Header, err error) {
		s, header, err = c.openOnce(ctx, r, prefix)
		return header, err
	})
	return s, err
}

func (c *Client) openOnce(ctx context.Context, r *request, prefix string) (*stream, http.Header, error) {
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, nil, c.broken(ctx, ctx, r, err)
	}
	// Only closing the connection ends both a blocked read and a blocked write.
	unhook := context.AfterFunc(ctx, func() { abort(conn) })
	fail := func(header http.Header, err error) (*stream, http.Header, error) {
		unhook()
		abort(conn)
		return nil, header, err
	}

	conn.SetDeadline(time.Now().Add(r.limit))
	req := c.newRequest(ctx, r, prefix)
	if r.upgrade {
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "tcp")
	}
	writeErr := req.Write(conn)
	if writeErr != nil {
		// The server may have sent a reason before it closed, such as a TLS alert. That says more than "broken pipe".
		conn.SetReadDeadline(time.Now().Add(min(time.Second, r.limit)))
	}
	limited := &io.LimitedReader{R: conn, N: maxHeader}
	reader := bufio.NewReaderSize(limited, headerBuffer)
	resp, err := readHeader(reader, req)
	switch {
	case err != nil && limited.N <= 0:
		err = errors.New("the header of the answer is endless")
	case err != nil && writeErr != nil && !connectFailure(err):
		err = writeErr
	}
	if err != nil {
		return fail(nil, c.broken(ctx, ctx, r, err))
	}
	if !slices.Contains(r.want, resp.StatusCode) {
		limited.N = maxErrorBody
		err := c.refusal(r, resp)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fail(resp.Header, err)
	}
	if r.upgrade && resp.ContentLength >= 0 && resp.StatusCode == http.StatusOK {
		return fail(resp.Header, &Error{Op: r.op, Target: r.target, Status: resp.StatusCode,
			Message: "the engine's answer is not a stream; a proxy before the engine must allow connection upgrades"})
	}
	conn.SetDeadline(time.Time{})
	limited.N = math.MaxInt64

	s := &stream{
		client: c, ctx: ctx, conn: conn, unhook: unhook, status: resp.StatusCode,
		// Without the query and body, which are no longer needed.
		r: &request{op: r.op, target: r.target, doubt: r.doubt},
	}
	header := resp.Header
	if s.raw = resp.StatusCode == http.StatusSwitchingProtocols ||
		r.upgrade && resp.ContentLength == -1 && len(resp.TransferEncoding) == 0; s.raw {
		s.body = conn
		// Data that arrived together with the header is in the buffer.
		if n := reader.Buffered(); n > 0 {
			early, _ := reader.Peek(n)
			s.body = io.MultiReader(bytes.NewReader(bytes.Clone(early)), conn)
		}
	} else {
		s.body = resp.Body
		// The body keeps the response alive for trailers, which no engine sends.
		resp.Header, resp.Request = nil, nil
	}
	return s, header, nil
}

// readHeader is http.ReadResponse, but skips interim answers such as 100 Continue.
// The caller's limit on the header's length also ends an endless series of them.
func readHeader(reader *bufio.Reader, req *http.Request) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(reader, req)
		if err != nil || resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// close ends the stream, even while another goroutine reads or writes it. It may be called again.
func (s *stream) close() {
	s.unhook()
	abort(s.conn)
}

// abort closes a connection at once. Close of a TLS connection would first send an alert, and could block on it for 5 s.
func abort(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	conn.Close()
}

// broken returns the error of a read that failed with err: the context's error if that ended, else ErrUnreachable.
// The data before the break is incomplete, so a plain EOF counts as unexpected.
func (s *stream) broken(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return s.client.broken(s.ctx, s.ctx, s.r, err)
}

// refused returns an error that the engine reported after the header.
func (s *stream) refused(message string) error {
	return &Error{Op: s.r.op, Target: s.r.target, Status: s.status, Message: shorten(oneLine(message), maxMessage)}
}

// copyOutput copies the output of a container until the stream ends, and returns the error for the caller.
// With tty the output is not framed.
func (s *stream) copyOutput(stdout, stderr io.Writer, tty bool) error {
	var err error
	if tty {
		err = copyRaw(s.body, stdout)
	} else {
		err = demux(s.body, stdout, stderr)
	}
	var sink *sinkError
	var inBand *inBandError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &sink):
		return sink.err
	case errors.As(err, &inBand):
		return s.refused(inBand.message)
	default:
		return s.broken(err)
	}
}
