package dockerapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Options are the settings of a [Client]. The zero value suits a unix socket or
// TCP without TLS.
type Options struct {
	// TLS is used on TCP addresses; see [tlsconf.Config]. Nil means no TLS, except
	// for an https:// address: the client then trusts the system's authorities.
	// TLS is ignored on unix sockets.
	TLS *tls.Config

	// APIVersion pins the API version of every request, such as "1.41", and
	// switches negotiation off. Empty: the version is negotiated.
	APIVersion string

	// MaxText is the most bytes of text in the configuration of a container or an exec. Answers that describe one are
	// read up to a length that follows from it.
	MaxText int

	// Observe is called after each request, with its Route as in [Calls], the status of the answer (0: there was none), and the
	// time until the answer's header had come. It is called from many goroutines. Nil: nothing is told.
	Observe func(route string, status int, took time.Duration)

	// Dial replaces net.Dialer, in tests. network is "unix" or "tcp".
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Client talks to one engine, and is safe for concurrent use. [New] makes
// one.
type Client struct {
	host    Host
	tls     *tls.Config // nil: no TLS
	dialer  func(ctx context.Context, network, addr string) (net.Conn, error)
	pinned  string                                             // Options.APIVersion
	observe func(route string, status int, took time.Duration) // Options.Observe
	kept    kept
	limits  limits
	longest int64 // maximum bytes read of an answer that describes a container or an exec

	mu     sync.Mutex
	agreed *Version // the negotiated version; nil before negotiation and after forget
	flight *flight  // the negotiation under way; nil: none
}

// limits are how long the client itself waits for an engine that accepts
// connections but does not answer. The caller's context may end earlier. New
// and tests set the fields, before the first call.
type limits struct {
	dial   time.Duration // connect and TLS handshake
	ping   time.Duration // short, because under socket activation a starting engine accepts and hangs
	read   time.Duration // inspect, list, create exec
	change time.Duration // create, start, remove and other changes: storage and runtime may be slow
	stop   time.Duration // added to the grace period, because the engine needs up to 10 s more to kill
	events time.Duration // the engine's past events: until the end of the answer
	header time.Duration // attach, exec, wait, logs: until the header; the stream itself has no limit
	pull   time.Duration // pull: until the header, which comes with the registry's first answer, and for each step after it
}

var defaultLimits = limits{
	dial:   10 * time.Second,
	ping:   5 * time.Second,
	read:   30 * time.Second,
	change: 2 * time.Minute,
	stop:   30 * time.Second,
	events: 2 * creationTakes,
	header: 30 * time.Second,
	pull:   5 * time.Minute,
}

// New makes a client of the engine at h, and does not connect. An empty h or a
// malformed APIVersion is an error.
func New(h Host, o Options) (*Client, error) {
	if h.network == "" {
		return nil, errors.New("docker host: empty; use ParseHost")
	}
	if o.APIVersion != "" {
		if _, err := parseAPIVersion(o.APIVersion); err != nil {
			return nil, fmt.Errorf("docker API version %q: %w", o.APIVersion, err)
		}
	}
	c := &Client{host: h, dialer: o.Dial, observe: o.Observe, pinned: o.APIVersion, limits: defaultLimits}
	c.longest = maxAnswer + maxRepeated*int64(o.MaxText)
	if o.TLS != nil && !h.IsUnix() {
		c.host = h.WithTLS()
	}
	if c.host.TLS() {
		if c.tls = o.TLS.Clone(); c.tls == nil { // Clone of nil is nil
			c.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		// Engines from 29.2 choose h2 if it is offered, and HTTP/2 cannot hijack a connection for attach.
		c.tls.NextProtos = []string{"http/1.1"}
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
	return c, nil
}

// Host returns the address of the engine, with the TLS setting and port in use.
func (c *Client) Host() Host { return c.host }

// Close closes the idle connections. Calls under way continue, and the client
// stays usable.
func (c *Client) Close() { c.kept.close() }
