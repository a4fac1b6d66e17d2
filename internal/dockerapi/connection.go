package dockerapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// maxHeader bounds the header of any answer, in bytes.
	maxHeader = 64 << 10

	// maxKept is how many connections are kept for the next short calls.
	maxKept = 32

	// keptFor is how long a connection is kept without a call.
	keptFor = time.Minute

	// readBuffer is the size in bytes of the buffer for short answers. streamBuffer is for the header of a long
	// call's answer: it stays allocated under an HTTP body, so it is small, and a longer header is read in parts.
	readBuffer   = 4 << 10
	streamBuffer = 512
)

// connection is a connection to the engine. One call at a time has it, and reads and writes it in the caller's own
// goroutine: a transport of net/http would take two goroutines more, and pass each call through them.
type connection struct {
	net.Conn
	limited *io.LimitedReader // bounds what the present answer may have
	reader  *bufio.Reader
	text    bytes.Buffer // of the present request, then of its answer
	unsent  bool         // nothing of the present request was sent
	since   time.Time    // when the last call ended; guarded by kept
}

// connect opens a connection to the engine for r, with TLS if the host has it. All errors are *dialError: nothing was
// sent on it.
func (c *Client) connect(ctx context.Context, r *request, buffer int) (*connection, error) {
	limit, until := c.limits.dial, time.Now().Add(c.limits.dial)
	if r.until.Before(until) {
		limit, until = r.limit, r.until
	}
	limited, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	conn, err := c.dialer(limited, c.host.network, c.host.dialAddress())
	if err == nil && c.tls != nil {
		secure := tls.Client(conn, c.tls)
		if err = secure.HandshakeContext(limited); err != nil {
			conn.Close()
		}
		conn = secure
	}
	if err == nil {
		k := &connection{Conn: conn, limited: &io.LimitedReader{R: conn}}
		k.reader = bufio.NewReaderSize(k.limited, buffer)
		return k, nil
	}
	// Not the context's own error: it would look like the caller's deadline.
	if ctx.Err() == nil && (limited.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
		err = noAnswer(limit)
	}
	return nil, &dialError{err}
}

// noAnswer returns the error for a limit of this package that has passed. The error
// is not context.DeadlineExceeded, which is reserved for the caller's deadline.
func noAnswer(limit time.Duration) error {
	return fmt.Errorf("no answer within %v: %w", limit, os.ErrDeadlineExceeded)
}

// A dialError is an error of connecting.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// ask sends r, and returns when the header of the answer has been read. r.until holds for that and for what is read
// later, until the deadline is set anew. A large request that the engine refuses unread is written until the engine closes
// the connection: then its answer is read.
func (k *connection) ask(r *request, host Host, prefix string) (*response, error) {
	k.SetDeadline(r.until)
	k.limited.N = maxHeader
	k.text.Reset()
	r.write(&k.text, host, prefix)
	n, writeErr := k.Write(k.text.Bytes())
	k.unsent = writeErr != nil && n == 0
	if writeErr != nil {
		// The server may have sent a reason before it closed, such as a TLS alert. That says more than "broken pipe".
		grace := time.Second
		if errors.Is(writeErr, os.ErrDeadlineExceeded) {
			grace /= 10
		}
		k.SetReadDeadline(time.Now().Add(grace))
	}
	resp, err := readResponse(k.reader, r.method)
	switch {
	case err == nil:
		k.limited.N = math.MaxInt64
		// Otherwise the next request would be taken for the rest of this one, or for data of a switched connection.
		resp.last = resp.last || writeErr != nil || resp.status == http.StatusSwitchingProtocols
		return resp, nil
	case k.limited.N <= 0:
		err = errors.New("the header of the answer is endless")
	case writeErr != nil && !tlsFault(err):
		err = writeErr
	}
	return nil, err
}

// unanswered reports whether the engine sent nothing since ask.
func (k *connection) unanswered() bool { return k.limited.N == maxHeader }

// drained reports whether nothing is left of what was received. TLS may hold whole records, out of silent's sight.
func (k *connection) drained() bool {
	if _, ok := k.Conn.(*tls.Conn); !ok || k.reader.Buffered() > 0 {
		return k.reader.Buffered() == 0
	}
	k.SetReadDeadline(time.Unix(1, 0)) // reads only what was received already
	_, err := k.reader.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// abort closes the connection at once. Close of a TLS connection would first send an alert, and could block on it for 5 s.
func (k *connection) abort() { k.bare().Close() }

// bare returns the connection below TLS.
func (k *connection) bare() net.Conn {
	if secure, ok := k.Conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return k.Conn
}

// kept holds the connections that are open and without a call.
type kept struct {
	mu     sync.Mutex
	conns  []*connection // the one used last is at the end
	expiry *time.Timer   // runs while there are conns
	closed bool
}

// take returns the connection used last that the engine has not closed, or nil.
func (p *kept) take() *connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := len(p.conns) - 1; n >= 0; n-- {
		k := p.conns[n]
		p.conns = slices.Delete(p.conns, n, n+1)
		if silent(k.bare()) {
			return k
		}
		k.abort()
	}
	return nil
}

// put keeps a connection for the next call, or closes it.
func (p *kept) put(k *connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		k.abort()
		return
	}
	k.since = time.Now()
	if p.conns = append(p.conns, k); len(p.conns) > maxKept {
		p.drop()
	}
	if p.expiry == nil {
		p.expiry = time.AfterFunc(keptFor, p.expire)
	}
}

// expire closes the connections that have been unused for keptFor.
func (p *kept) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.conns) > 0 {
		if left := keptFor - time.Since(p.conns[0].since); left > 0 {
			p.expiry.Reset(left)
			return
		}
		p.drop()
	}
	p.expiry = nil
}

// drop closes the connection that has been unused for longest. The mutex is held.
func (p *kept) drop() {
	p.conns[0].abort()
	p.conns = slices.Delete(p.conns, 0, 1)
}

// close closes the connections, and keeps none from now on.
func (p *kept) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for len(p.conns) > 0 {
		p.drop()
	}
	if p.expiry != nil {
		p.expiry.Stop()
	}
}
