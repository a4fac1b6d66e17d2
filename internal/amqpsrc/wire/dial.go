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

	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// brokerSpeaks is how soon a broker answers a new connection, unless it is busy.
const brokerSpeaks = 2 * time.Second

// probeAfter ends a connection on which nothing has come for a while, if it is no broker that is there. An HTTP server
// waits for the end of a line, which no client of AMQP sends. end is to be called when the wait is over.
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

// probe returns an error if a server of another kind answers at the address, and nil if it cannot tell.
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
	if other, ok := errors.AsType[*notAMQP](err); ok && !strings.HasPrefix(other.start, "AMQP") { // so a broker answers HTTP
		return other
	}
	return nil
}

// at adds the address to an error of the server there, if its text does not have it.
func (d *Dialer) at(err error) error {
	if errors.Is(err, ErrNotAMQP) || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("%s: %w", d.Address.HostPort(), err)
	}
	return err
}

// speaksTLS tells whether a port that ended our connection without a word answers to TLS.
func (d *Dialer) speaksTLS(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, brokerSpeaks)
	defer cancel()
	raw, err := d.raw(ctx)
	if err != nil {
		return false
	}
	defer raw.Close()
	// What is there is only to be known, not to be trusted: nothing is sent to it.
	err = tls.Client(raw, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
	return err == nil || errors.As(err, new(tls.AlertError))
}

// raw connects the socket.
func (d *Dialer) raw(ctx context.Context) (net.Conn, error) {
	if d.Connect != nil {
		return d.Connect("tcp", d.Address.HostPort())
	}
	var nd net.Dialer
	return nd.DialContext(ctx, "tcp", d.Address.HostPort())
}

// cause returns why ctx ended, if it has ended, else err.
func (d *Dialer) cause(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if cause := context.Cause(ctx); cause != errNoAnswer {
		return cause
	}
	return fmt.Errorf("%w within %v; does the port speak AMQP?", errNoAnswer, d.Address.timeout)
}

// dial connects the socket, with TLS on it where the address asks for that.
func (d *Dialer) dial(ctx context.Context) (*wire, error) {
	raw, err := d.raw(ctx)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: raw, raw: raw}
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

// login makes an AMQP connection of a wire. Config.Recovery stays nil: the library's recovery keeps the
// channel and starts its delivery tags anew, so that an ack for an old delivery hits a new one.
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
		Vhost:      d.Address.vhost,
		Heartbeat:  d.Address.heartbeat,
		ChannelMax: d.Address.channelMax,
		FrameSize:  FrameSize,
		Locale:     "en_US",
		Properties: properties,
	})
	if err != nil {
		took, read := w.ended()
		w.Abort() // the library leaves the socket open after some errors
		return nil, explainDial(err, d.Address.User, d.Address.vhost, read, took)
	}
	name, _ := conn.Properties["cluster_name"].(string)
	l := &Link{Connection: conn, Place: cmd.Place{VHost: d.Address.vhost, Broker: name}, Wire: w}
	l.Closed = conn.NotifyClose(make(chan *amqp.Error, 1))
	return l, nil
}

var errNoAnswer = errors.New("the broker does not answer")
