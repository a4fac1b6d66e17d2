package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
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
