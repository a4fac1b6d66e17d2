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

	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

const (
	// RPCTimeout bounds one synchronous call, and one write to the socket. A call that takes longer ends the
	// connection: otherwise its late answer would be taken for the answer to the next call.
	RPCTimeout = 30 * time.Second

	// CloseTimeout bounds each step of an orderly close. A silent broker holds up two of them, one on each connection.
	CloseTimeout = 2 * time.Second

	FrameSize = 131072 // RabbitMQ's own default
)

// A Link is one connection to the broker.
type Link struct {
	*amqp.Connection
	Place  intake.Place
	Wire   *wire
	Closed chan *amqp.Error // holds the error, if any; closed when the library is done

	Found int // see Declare; only the link's owner uses it

	Unblocked *intake.Gate // closed while the broker takes no messages, and answers no calls of this connection

	mu      sync.Mutex
	outlets []*Outlet // that are open; guarded by mu
}

// A Dialer opens links. Exported fields are set before the first Open and do not change after it.
type Dialer struct {
	Address address
	Name    string                                       // of the connections at the broker; each adds its role
	Version string                                       // of the program
	Connect func(network, addr string) (net.Conn, error) // nil: as the net package does
	Budget  *budget                                      // of the connections that consume or ask; nil: no limit

	mu    sync.Mutex
	wires map[*wire]struct{} // of all links that are open, for AbortAll; guarded by mu
	dead  bool               // AbortAll was called; guarded by mu
}

// Consuming is the role of a connection that consumes.
const Consuming = "consume"

// Open dials and runs setup, all under one watchdog. The library clears its deadline after the handshake, and sets
// the next one only after another frame. Without the watchdog, a broker that freezes in between would never be noticed.
// If ctx ends, the attempt ends.
func (d *Dialer) Open(ctx context.Context, role string, setup func(*Link) error) (*Link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.Address.timeout, errNoAnswer)
	defer cancel()
	w, err := d.dial(ctx)
	if err != nil {
		return nil, d.cause(ctx, d.at(err))
	}
	if d.Budget != nil && (role == Consuming || role == Asking) {
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
			err = read // more precise than "not open"
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

// Watch waits until the connection has ended, and returns why, or until ctx ends, and returns nil. It calls changed when the broker
// begins to block, and when it takes messages again. If it blocks already, Watch calls changed at once.
func (l *Link) Watch(ctx context.Context, changed func(blocked bool, reason string)) error {
	for was := true; ; {
		open, next := l.Unblocked.State()
		if open != was {
			changed(!open, *l.Wire.In.shortage.Load())
			was = open
		}
		select {
		case <-next:
		case e := <-l.Closed:
			if e == nil {
				return ErrClosed
			}
			return Plain(e)
		case <-ctx.Done():
			return nil
		}
	}
}

// Within makes a synchronous call of the library. If the call takes longer than d, Within aborts the connection.
func (l *Link) Within(d time.Duration, call func() error) error {
	watchdog := time.AfterFunc(d, l.Wire.Abort)
	defer watchdog.Stop()
	return call()
}

// Until is Within, but once ctx has ended the call may take only CloseTimeout longer.
func (l *Link) Until(ctx context.Context, d time.Duration, call func() error) error {
	done := make(chan struct{})
	defer close(done)
	defer context.AfterFunc(ctx, func() {
		select {
		case <-time.After(CloseTimeout):
			l.Wire.Abort()
		case <-done:
		}
	})()
	return l.Within(d, call)
}

// On runs call on a new channel and closes it. An error in call affects no other channel.
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

// ErrSkip makes On return nil without closing the channel, because the broker has already closed it.
var ErrSkip = errors.New("skip")

// Part closes a link. If politely is true, it first closes the AMQP connection, within CloseTimeout, unless the broker blocks
// and would not answer. answered reports whether the broker answered. After Part the library no longer uses the connection.
func (d *Dialer) Part(l *Link, politely bool) (answered bool) {
	if open, _ := l.Unblocked.State(); open && politely {
		// Each incoming frame moves the library's CloseDeadline, so it alone is no bound.
		answered = l.Within(CloseTimeout, func() error { return l.CloseDeadline(time.Now().Add(CloseTimeout)) }) == nil
	}
	l.Wire.Abort()
	l.wait()
	d.forget(l.Wire)
	return answered
}

// wait returns after the library has stopped using the connection. The wire must already be aborted.
func (l *Link) wait() {
	l.mu.Lock()
	for _, o := range l.outlets {
		go func() { // the library may wait for room for returned messages, and with it the end
			for range o.returned {
			}
		}()
	}
	l.mu.Unlock()
	for range l.Closed {
	}
}

func (d *Dialer) forget(w *wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.wires, w)
}

// AbortAll closes the sockets of all links. Every later dial fails.
func (d *Dialer) AbortAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
	for w := range d.wires {
		w.Abort()
	}
}

// ErrSettledTwice is the error of a second ack or reject of a delivery.
var ErrSettledTwice = errors.New("the delivery was settled before")

// NonBlocking returns a value from c if one is ready, else the zero value.
func NonBlocking[T any](c <-chan T) (v T) {
	select {
	case v = <-c:
	default:
	}
	return v
}

// Settling is how long the broker may take to apply an ack. A quorum queue holds some acks back in the channel's
// process. Acks that are still there when the channel closes are lost (seen on 3.10, 4.0 and 4.3: 50 ms were enough).
// A classic queue writes acks to disk later; if it is killed before, they are lost.
const Settling = 250 * time.Millisecond

// AckWindow is how many acks of one channel the broker sends a quorum queue before the first is in the queue's log. It is
// 32 unless the broker's quorum_commands_soft_limit says otherwise. The channel joins the acks that it holds back into one,
// and sends that when it has been told of the first.
const AckWindow = 32

// SettlingRounds returns how often Settling is to pass, with a synchronous call each time, before so many acks of one channel
// are in a quorum queue's log. The channel sends what it holds back after the first.
func SettlingRounds(acks int) int { return min(2, (acks+AckWindow-1)/AckWindow) }
