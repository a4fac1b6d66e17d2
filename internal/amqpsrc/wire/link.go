package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

const (
	// RPCTimeout bounds one synchronous call, and one write to the socket. A call that takes longer
	// costs the connection: its answer, late, would be taken for that of the next call.
	RPCTimeout = 30 * time.Second

	// CloseTimeout bounds each step of a polite goodbye.
	CloseTimeout = 5 * time.Second

	FrameSize = 131072 // what RabbitMQ itself offers
)

// A wire is the socket under a connection. It is kept because closing it is the only way to end a
// write of the library: when the broker stops reading, the writer holds the channel's lock, and the
// library's own shutdown waits for that lock before it closes the socket.
type wire struct {
	net.Conn // TLS included
	raw      net.Conn
	In       *filter
	heard    atomic.Bool // something has come

	mu      sync.Mutex
	readErr error         // the first error of a Read
	silence time.Duration // how long before it the last Write was
	wrote   time.Time     // the last Write
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.In.Read(p)
	if n > 0 {
		w.heard.Store(true)
	}
	if err != nil {
		w.ends(err)
	}
	return n, err
}

// ends records why nothing more is read, the first time.
func (w *wire) ends(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.readErr == nil {
		w.readErr, w.silence = err, time.Since(w.wrote)
	}
}

// Write bounds each write by itself, since the library knows deadlines only for its handshake. The
// broker stops reading from a connection that publishes while it is short of memory; what is written
// then goes into the kernel's buffers, and a write larger than those fails here and is made again on
// another connection.
func (w *wire) Write(p []byte) (int, error) {
	now := time.Now()
	w.mu.Lock()
	w.wrote = now
	w.mu.Unlock()
	if err := w.Conn.SetWriteDeadline(now.Add(RPCTimeout)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// Abort closes the socket, hard.
func (w *wire) Abort() { w.raw.Close() }

// ended returns the first error of a Read, and how long before it the last write was. Later writes do not count: the
// library may still make some.
func (w *wire) ended() (silence time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.silence, w.readErr
}

// A Link is one connection to the broker.
type Link struct {
	*amqp.Connection
	Place  cmd.Place
	Wire   *wire
	Closed chan *amqp.Error // holds the error, if there was one, and is closed when the library is done
}

// A Dialer opens links. What is exported is set before the first Open, and does not change after it.
type Dialer struct {
	Address address
	Name    string                                       // of the connections, at the broker; each adds its role
	Version string                                       // of the program
	Connect func(network, addr string) (net.Conn, error) // nil: as the net package does
	Budget  *budget                                      // of the connections that consume; nil: no bound

	mu    sync.Mutex
	wires map[*wire]struct{} // of all links that are open, for AbortAll; guarded by mu
	dead  bool               // AbortAll was called; guarded by mu
}

var errNoAnswer = errors.New("the broker does not answer")

// Consuming is the role of a connection that takes deliveries in.
const Consuming = "consume"

// Open dials and runs setup, all under one watchdog. The library clears its deadline when the handshake
// is over and sets the next one when it has read another frame; a broker that freezes between the two
// would never be noticed. When ctx ends, the attempt does.
func (d *Dialer) Open(ctx context.Context, role string, setup func(*Link) error) (*Link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.Address.timeout, errNoAnswer)
	defer cancel()
	w, err := d.dial(ctx)
	if err != nil {
		return nil, d.cause(ctx, d.at(err))
	}
	if role == Consuming && d.Budget != nil {
		w.In.Account = d.Budget.account()
	}
	stop := context.AfterFunc(ctx, w.Abort)
	probing := d.probeAfter(ctx, w)
	l, err := d.login(w, role)
	probing()
	if err == nil {
		err = setup(l)
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		if _, read := w.ended(); read != nil && errors.Is(err, amqp.ErrClosed) {
			err = read // which says more than "not open"
		}
		w.Abort()
		if l != nil {
			l.wait()
		}
		d.forget(w)
		if _, read := w.ended(); !w.heard.Load() && !d.Address.tls && (errors.Is(read, io.EOF) || errors.Is(read, syscall.ECONNRESET)) && d.speaksTLS(ctx) {
			err = &notAMQP{start: "\x16\x03"}
		}
		return nil, d.cause(ctx, d.at(err))
	}
	return l, nil
}

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

// Within makes a synchronous call of the library, and cuts the connection where it takes too long.
func (l *Link) Within(d time.Duration, call func() error) error {
	watchdog := time.AfterFunc(d, l.Wire.Abort)
	defer watchdog.Stop()
	return call()
}

// On runs call on a channel of its own and closes that: an error in it costs no other channel.
func (l *Link) On(call func(*amqp.Channel) error) error {
	return l.Within(RPCTimeout, func() error {
		ch, err := l.Channel()
		if err != nil {
			return err
		}
		switch err := call(ch); err {
		case nil:
			return ch.Close()
		case ErrSkip:
			return nil
		default:
			return err // the broker has closed the channel
		}
	})
}

// ErrSkip ends On without an error, and without the channel that the broker has closed.
var ErrSkip = errors.New("skip")

// Part says goodbye to the broker, or hangs up where that takes too long, and tells whether the broker has answered.
// After it the library has let go of the connection.
func (d *Dialer) Part(l *Link, politely bool) (answered bool) {
	if politely {
		// The library's CloseDeadline moves with each heartbeat that comes in, so it alone is no bound.
		answered = l.Within(CloseTimeout, func() error { return l.CloseDeadline(time.Now().Add(CloseTimeout)) }) == nil
	}
	l.Wire.Abort()
	l.wait()
	d.forget(l.Wire)
	return answered
}

// wait returns when the library has let go of the connection. The wire must have been aborted.
func (l *Link) wait() {
	for range l.Closed {
	}
}

func (d *Dialer) forget(w *wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.wires, w)
}

// AbortAll closes the sockets of all links, now and for good.
func (d *Dialer) AbortAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	for w := range d.wires {
		w.Abort()
	}
}

// Declare makes sure that a queue exists and is no stream. Without arguments it only looks; else the queue is
// created, durable, where it is missing, and one that is there with other arguments is used as it is.
func (l *Link) Declare(queue string, args amqp.Table) (note string, err error) {
	typed := false // the broker has said that the type is that of args
	if args != nil {
		err = errNoLimit
		if l.unlimits() && args[amqp.QueueTypeArg] == amqp.QueueTypeQuorum {
			without := maps.Clone(args)
			without["x-delivery-limit"] = int32(-1)
			err = l.create(queue, without)
		}
		if err == errNoLimit || Code(err) == amqp.PreconditionFailed {
			// Also a queue that an earlier version made, without the argument.
			err = l.create(queue, args)
		}
		note = reasonOf(err, amqp.PreconditionFailed)
		typed = err == nil
	}
	switch {
	case typed:
		return "", nil
	case strings.Contains(note, "current is 'stream'"):
		return "", fmt.Errorf("queue %q %w", queue, ErrStream)
	case err != nil && note == "" && Code(err) != amqp.AccessRefused:
		return "", err
	}
	// Without the permission to create it the queue is as good, if it is there.
	missing := l.look(queue)
	if missing == nil {
		missing = l.NoStream(queue)
	}
	if err != nil && note == "" && IsNoQueue(missing) {
		return "", err
	}
	return note, missing
}

// errNoLimit is in place of the answer to a declare that was not made.
var errNoLimit = errors.New("no delivery limit to take off")

// unlimits tells whether x-delivery-limit -1 means that there is no limit. RabbitMQ 3 drops a message at its first
// return then.
func (l *Link) unlimits() bool {
	version, _ := l.Properties["version"].(string)
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n >= 4
}

// DeliveryLimit returns the delivery limit that a queue was declared with. It is not ok where the queue has none, or a
// policy sets it. It declares the queue with a wrong limit: the broker's error tells the real one. If this makes the
// queue, because somebody has just deleted it, the queue is deleted again.
func (l *Link) DeliveryLimit(queue string) (limit int, ok bool) {
	err := l.create(queue, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": "?"})
	if err == nil {
		_ = l.On(func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(queue, false, false, false) // ifUnused, ifEmpty, noWait
			return err
		})
	}
	_, what, _ := strings.Cut(reasonOf(err, amqp.PreconditionFailed), "'x-delivery-limit'")
	_, current, _ := strings.Cut(what, "but current is ")
	_, current, _ = strings.Cut(current, "'")
	current, _, _ = strings.Cut(current, "'")
	limit, err = strconv.Atoi(current)
	if limit < 0 && !l.unlimits() {
		limit = 0
	}
	return limit, err == nil && limit >= 0
}

// reasonOf returns the broker's words of an error with that code, and "" for all others.
func reasonOf(err error, want int) string {
	if Code(err) != want {
		return ""
	}
	return Reason(err)
}

func (l *Link) create(queue string, args amqp.Table) error {
	return l.On(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(queue,
			true,  // durable
			false, // autoDelete
			false, // exclusive
			false, // noWait
			args)
		return err
	})
}

// look is an error if the queue does not exist.
func (l *Link) look(queue string) error {
	return l.On(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil) // the flags are not looked at
		if Code(err) == amqp.AccessRefused {
			// RabbitMQ 4.2.6 and 4.3.0 want the configure permission for a look. What is then
			// done with the queue will tell whether it is there.
			return ErrSkip
		}
		return err
	})
}

// NoStream is an error if the queue is a stream. A look does not tell the type. A consumer with an offset and
// without a prefetch is refused by every type, each in its own words, so nothing is ever delivered (seen on 3.10
// and 4.0). That needs the read permission; without it the type stays unknown.
func (l *Link) NoStream(queue string) error {
	err := l.On(func(ch *amqp.Channel) error {
		_, err := ch.Consume(queue, "", false, false, false, false, amqp.Table{"x-stream-offset": "last"})
		return err
	})
	switch {
	case strings.Contains(reasonOf(err, amqp.PreconditionFailed), "prefetch count is not set"):
		return fmt.Errorf("queue %q %w", queue, ErrStream)
	case IsNoQueue(err), Code(err) == 0:
		return err
	}
	return nil
}

// ErrSettledTwice is a second ack or reject of a delivery.
var ErrSettledTwice = errors.New("the delivery was settled before")

// NonBlocking receives a value where there is one, else the zero value.
func NonBlocking[T any](c <-chan T) (v T) {
	select {
	case v = <-c:
	default:
	}
	return v
}

// Settling is how long an ack may be on its way in the broker: a quorum queue holds some back in the
// channel's process, and one that is still there when the channel closes is lost (seen on 3.10, 4.0 and
// 4.3: 50 ms were enough); a classic queue writes them to its disk when it finds the time, and one that
// is killed before that has forgotten them.
const Settling = 250 * time.Millisecond
