package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/tlsconf"
)

// brokerSpeaks is the time within which a broker answers a new connection, unless it is busy.
const brokerSpeaks = 2 * time.Second

// probeAfter aborts w if nothing arrives within brokerSpeaks and a probe finds a server of another kind. An HTTP server
// would wait for the end of a line, which no AMQP client sends. The caller must call end after the login.
func (d *Dialer) probeAfter(ctx context.Context, w *wire) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var probing sync.WaitGroup
	probing.Go(func() {
		timer := time.NewTimer(brokerSpeaks)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if w.heard.Load() {
			return
		}
		if other := d.probe(ctx); other != nil {
			w.ends(other)
			w.Abort()
		}
	})
	return func() {
		cancel()
		probing.Wait()
	}
}

// probe returns an error if a server of another kind answers at the address. It returns nil if it cannot tell.
func (d *Dialer) probe(ctx context.Context) error {
	w, err := d.dial(ctx)
	if err != nil {
		return nil
	}
	defer d.forget(w)
	defer w.Abort()
	defer context.AfterFunc(ctx, w.Abort)()
	if _, err := w.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		return nil
	}
	_, err = w.Read(make([]byte, 1))
	// A broker answers HTTP with a protocol header that begins with AMQP.
	if other, ok := errors.AsType[*notAMQP](err); ok && !strings.HasPrefix(other.start, "AMQP") {
		return other
	}
	return nil
}

// at adds the address to an error of the server, if the error's text lacks it.
func (d *Dialer) at(err error) error {
	if errors.Is(err, ErrNotAMQP) || errors.Is(err, ErrTLS) || errors.Is(err, ErrLogin) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("%s: %w", d.Address.HostPort(), err)
	}
	return err
}

// speaksTLS reports whether a port that closed our connection without an answer speaks TLS.
func (d *Dialer) speaksTLS(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, brokerSpeaks)
	defer cancel()
	raw, err := d.raw(ctx)
	if err != nil {
		return false
	}
	defer raw.Close()
	return tlsconf.Speaks(ctx, raw)
}

// raw connects the socket.
func (d *Dialer) raw(ctx context.Context) (net.Conn, error) {
	if d.Connect != nil {
		return d.Connect("tcp", d.Address.HostPort())
	}
	var nd net.Dialer
	return nd.DialContext(ctx, "tcp", d.Address.HostPort())
}

// cause returns the reason why ctx ended, or err if ctx has not ended.
func (d *Dialer) cause(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); cause != errNoAnswer {
		return cause
	}
	return fmt.Errorf("%w within %v; does the port speak AMQP?", errNoAnswer, d.Address.timeout)
}

// dial connects the socket, with TLS if the address asks for it.
func (d *Dialer) dial(ctx context.Context) (*wire, error) {
	raw, err := d.raw(ctx)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: raw, raw: raw, over: make(chan struct{})}
	if d.Address.tls {
		config, err := d.Address.tlsConfig()
		if err != nil {
			raw.Close()
			return nil, err
		}
		conn := tls.Client(raw, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, explainDial(err, "", "", nil, 0)
		}
		w.Conn = conn
	}
	w.In = newFilter(w.Conn)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		raw.Close()
		return nil, net.ErrClosed
	}
	if d.wires == nil {
		d.wires = make(map[*wire]struct{})
	}
	d.wires[w] = struct{}{}
	return w, nil
}

// login opens an AMQP connection on w. Config.Recovery stays nil: the library's recovery would keep the channel but
// restart its delivery tags. An ack for an old delivery would then ack a new one.
func (d *Dialer) login(w *wire, role string) (*Link, error) {
	// A fresh table each time: the library writes into it.
	properties := amqp.Table{
		"product":  "docker-dispatch",
		"version":  d.Version,
		"platform": "Go",
	}
	properties.SetClientConnectionName(d.Name + " " + role)
	conn, err := amqp.Open(w, amqp.Config{
		SASL:       d.Address.sasl(),
		Vhost:      d.Address.VHost,
		Heartbeat:  d.Address.heartbeat,
		ChannelMax: d.Address.channelMax,
		FrameSize:  FrameSize,
		Locale:     "en_US",
		Properties: properties,
	})
	if err != nil {
		took, read := w.ended()
		w.Abort() // the library leaves the socket open after some errors
		user := d.Address.User
		if d.Address.external() && len(d.Address.mechanisms) == 1 {
			user = ""
		}
		return nil, explainDial(err, user, d.Address.VHost, read, took)
	}
	name, _ := conn.Properties["cluster_name"].(string)
	l := &Link{Connection: conn, Place: intake.Place{VHost: d.Address.VHost, Broker: name}, Wire: w, Unblocked: &w.In.unblocked}
	l.Closed = conn.NotifyClose(make(chan *amqp.Error, 1))
	return l, nil
}

var errNoAnswer = errors.New("the broker does not answer")
