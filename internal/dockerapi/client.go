package dockerapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// Options are the settings of a [Client]. The zero value is fine for a plain
// socket or TCP address.
type Options struct {
	// TLS is used on TCP addresses; see [TLSConfig]. Nil means no TLS, except
	// that an https:// address then trusts the system's authorities. It is
	// ignored on unix sockets.
	TLS *tls.Config

	// APIVersion pins the version of every request, such as "1.41", and
	// switches negotiation off. Empty: negotiated.
	APIVersion string

	// Dial replaces net.Dialer, in tests. network is "unix" or "tcp".
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client talks to one engine. Make one with [New]. Its methods may be called
// from many goroutines at once.
type Client struct {
	host   Host
	tls    *tls.Config // nil: plain
	dialer func(ctx context.Context, network, addr string) (net.Conn, error)
	pinned string // Options.APIVersion
	pool   *http.Transport
	limits limits

	mu     sync.Mutex
	agreed *Version // the negotiated version; nil before and after it is forgotten
	flight *flight  // the negotiation under way; nil when there is none
}

// limits are how long the client itself waits, for an engine that accepts
// connections but does not answer. The caller's context may be shorter. Fields
// are set before the first call, by New and by tests.
type limits struct {
	dial   time.Duration // connect and TLS handshake
	ping   time.Duration // short: under socket activation a starting engine accepts and hangs
	read   time.Duration // inspect and list
	change time.Duration // create, start, remove: storage and runtime may be slow
	stop   time.Duration // beyond the grace period: the engine takes up to 10 s more to kill
	header time.Duration // attach, exec, wait, logs: until the header; their end is not limited
	pull   time.Duration // pull: until the header, which comes with the registry's first answer, and each next step
}

var defaultLimits = limits{
	dial:   10 * time.Second,
	ping:   5 * time.Second,
	read:   30 * time.Second,
	change: 2 * time.Minute,
	stop:   30 * time.Second,
	header: 30 * time.Second,
	pull:   5 * time.Minute,
}

const (
	// maxHeader bounds the header of any answer, in bytes.
	maxHeader = 64 << 10

	// idleConnections is how many short calls may alternate without dialling
	// again. net/http's default of 2 makes a busy client redial all the time.
	idleConnections = 32
)

// New makes a client of the engine at h. It does not connect. The error is that
// of a wrong option.
func New(h Host, o Options) (*Client, error) {
	if h.network == "" {
		return nil, errors.New("docker host: empty; use ParseHost")
	}
	if o.APIVersion != "" {
		if _, err := parseAPIVersion(o.APIVersion); err != nil {
			return nil, fmt.Errorf("docker API version %q: %w", o.APIVersion, err)
		}
	}
	c := &Client{host: h, dialer: o.Dial, pinned: o.APIVersion, limits: defaultLimits}
	if o.TLS != nil && !h.IsUnix() {
		c.host = h.WithTLS()
	}
	if c.host.TLS() {
		if c.tls = o.TLS.Clone(); c.tls == nil { // Clone of nil is nil
			c.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		c.tls.NextProtos = http1Only()
		if c.tls.ServerName == "" {
			c.tls.ServerName = h.address
		}
	}
	if c.dialer == nil {
		c.dialer = (&net.Dialer{
			// A container may be silent for days: without probes a NAT
			// forgets the connection, and a dead host is never noticed.
			KeepAliveConfig: net.KeepAliveConfig{
				Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 6,
			},
		}).DialContext
	}
	// The pool's requests are plain http to it even under TLS, which dial adds
	// for both kinds of connection. So it never speaks HTTP/2, and has nothing
	// to do with proxies.
	c.pool = &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return c.dial(ctx) },
		Proxy:                  nil,
		DisableCompression:     true,
		MaxIdleConns:           idleConnections,
		MaxIdleConnsPerHost:    idleConnections,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: maxHeader,
		// No MaxConnsPerHost: a start that waited for a stop's connection
		// would be a deadlock in the making. No ResponseHeaderTimeout: each
		// call has its own limit.
	}
	return c, nil
}

// Host is the address of the engine, with TLS and port as they are used.
func (c *Client) Host() Host { return c.host }

// Close closes the kept connections that are idle. Calls under way go on, and
// the client can still be used.
func (c *Client) Close() { c.pool.CloseIdleConnections() }

// dial opens a connection to the engine, with TLS where the host has it. Its
// errors are *dialError: nothing was sent.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, c.limits.dial)
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
		return conn, nil
	}
	// Not the context's own error, which would pass for the caller's deadline.
	if ctx.Err() == nil && (limited.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
		err = noAnswer(c.limits.dial)
	}
	return nil, &dialError{err}
}

// noAnswer is the error of a limit of ours that has passed. It is not
// context.DeadlineExceeded, which is kept for the caller's own.
func noAnswer(limit time.Duration) error {
	return fmt.Errorf("no answer within %v: %w", limit, os.ErrDeadlineExceeded)
}

// dialError marks an error as one of connecting.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }
