package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// Config is the configuration of a Client.
type Config struct {
	URL     string // AMQP URI; see wire.CheckURL
	Name    string // of the connection in the broker's list; "": docker-dispatch
	Version string // of the program
	Log     *slog.Logger

	// Blocked is called with the reason when the broker takes no messages for now. Nil: the Client logs it.
	Blocked func(reason string)

	// Dial opens a TCP connection. Nil: the net package does, and gives up when the attempt ends.
	Dial func(network, addr string) (net.Conn, error)

	// Queue is the queue that will be used: Connect fails if it is a stream. Empty: nothing is checked.
	Queue string

	// Asks says that the connection is for Ask: messages above wire.MostAnswer bytes are not read.
	Asks bool
}

// A Client is one connection on which a publisher sends messages, waits for results, and looks after dead
// letters. It does not reconnect: when Done is closed, Err says why, and the caller connects again. Only the
// broker knows what became of messages that were not confirmed or acked by then. All methods may be called
// from any goroutine.
//
// It publishes and consumes on one connection, so a broker short of memory or disk holds up acks as well as
// messages. Methods wait for the broker until their context ends. If a context ends during a synchronous
// call, the connection ends too: nothing else gets the library out of the call.
type Client struct {
	dialer    *wire.Dialer
	link      *wire.Link
	log       *slog.Logger
	onBlocked func(reason string)

	turn   chan struct{}  // held by the goroutine that publishes
	outlet *wire.Outlet   // nil: none yet; guarded by turn
	sends  sync.WaitGroup // one for each unconfirmed message; added to under turn

	life      context.Context // ends with Close: consumers end
	end       context.CancelFunc
	mu        sync.Mutex
	closing   bool           // Close was called; guarded by mu
	consumers sync.WaitGroup // added to under mu, while closing is not set

	answers wire.Window // of Ask

	done chan struct{}
	err  error // why the connection ended; written before done is closed
}

// Connect makes a connection and logs in. Its errors are those of package wire, such as [wire.ErrLogin] and
// [wire.ErrStream], and those of the network.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	a, err := wire.ParseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{
		dialer:    &wire.Dialer{Address: a, Name: cmp.Or(cfg.Name, "docker-dispatch"), Version: cfg.Version, Connect: cfg.Dial},
		log:       cfg.Log,
		onBlocked: cfg.Blocked,
		turn:      make(chan struct{}, 1),
		answers:   wire.Window{Most: mostUnread},
		done:      make(chan struct{}),
	}
	if c.onBlocked == nil {
		c.onBlocked = func(reason string) { c.log.Warn("the broker takes no messages for now; waiting", "reason", reason) }
	}
	role := "client"
	if cfg.Asks {
		role, c.dialer.Budget = wire.Asking, wire.NewBudget(wire.MostAnswer, 0)
	}
	c.link, err = c.dialer.Open(ctx, role, func(l *wire.Link) error {
		if cfg.Asks {
			l.Wire.In.Window.Store(&c.answers)
		}
		if cfg.Queue == "" {
			return nil
		}
		if err := l.NoStream(cfg.Queue); errors.Is(err, wire.ErrStream) {
			return err
		}
		return nil // the methods that use the queue report its other faults
	})
	if err != nil {
		return nil, err
	}
	c.life, c.end = context.WithCancel(context.Background())
	go func() {
		c.err = c.link.Watch(context.Background(), func(blocked bool, reason string) {
			if blocked {
				c.onBlocked(reason)
			} else {
				c.log.Info("the broker takes messages again")
			}
		})
		close(c.done)
	}()
	return c, nil
}

// Heartbeat returns the heartbeat interval that both sides agreed on; 0: none. A broker that receives nothing for
// two to three intervals ends the connection, and requeues what it has sent there.
func (c *Client) Heartbeat() time.Duration { return c.link.Config.Heartbeat }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended, and nil while it has not.
func (c *Client) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Close ends the consumers, waits until the broker has their acks, and ends the connection. If ctx ends
// first, Close cuts the connection and returns the error of ctx. Messages sent during Close may be lost;
// wait for the confirms of earlier ones. When Close has returned, the connection and all consumers have ended.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	again := c.closing
	c.closing = true
	c.mu.Unlock()
	cut := context.AfterFunc(ctx, c.link.Wire.Abort)
	c.end()
	c.consumers.Wait()
	if !again {
		c.dialer.Part(c.link, c.Err() == nil)
	}
	<-c.done
	c.turn <- struct{}{} // waits for a publish under way; later ones find that the connection has ended
	<-c.turn
	c.sends.Wait()
	if !cut() {
		return ctx.Err()
	}
	return nil
}

// ready waits until the broker takes messages and answers calls.
func (c *Client) ready(ctx context.Context) error {
	for {
		select {
		case <-c.done:
			return c.gone()
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		open, changed := c.link.Unblocked.State()
		if open {
			return nil
		}
		select {
		case <-changed:
		case <-c.done:
		case <-ctx.Done():
		}
	}
}

// ErrGone is the error of a call to a Client whose connection has ended.
var ErrGone = errors.New("the connection to the broker has ended")

func (c *Client) gone() error {
	if c.err == wire.ErrClosed {
		return ErrGone
	}
	return fmt.Errorf("%w: %w", ErrGone, c.err)
}

// why returns the reason for an error that only says that the connection is closed.
func (c *Client) why(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if c.link.IsClosed() {
		c.link.Wire.Abort()
		<-c.done
		return c.gone()
	}
	return err
}

// call makes a synchronous call on a separate channel. need is the permission that the call takes.
func (c *Client) call(ctx context.Context, queue, need string, call func(*amqp.Channel) error) error {
	return c.within(ctx, queue, fmt.Sprintf("%s permission on queue %q", need, queue), func() error { return c.link.On(call) })
}

// within makes synchronous calls about a queue. need is the permission that they take. If ctx ends, it cuts the connection.
func (c *Client) within(ctx context.Context, queue, need string, calls func() error) error {
	if err := checkName(queue); err != nil {
		return err
	}
	if err := c.ready(ctx); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, c.link.Wire.Abort)()
	return c.why(ctx, wire.ExplainQueue(c.link.Within(wire.RPCTimeout, calls), queue, need))
}

func checkName(queue string) error {
	if queue == "" || len(queue) > 255 {
		return errors.New("the name of the queue must have 1 to 255 bytes")
	}
	return nil
}

// DeclareReplies creates a queue for answers. It is durable, to outlive the broker, and not exclusive, to
// outlive the connection. The broker deletes the queue if it has had no consumer for expires.
func (c *Client) DeclareReplies(ctx context.Context, queue string, expires time.Duration) error {
	return c.call(ctx, queue, "configure", func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(queue,
			true,  // durable
			false, // autoDelete
			false, // exclusive
			false, // noWait
			amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeClassic, "x-expires": max(1, expires.Milliseconds())})
		return err
	})
}

// DeleteQueue deletes a queue and its messages. A queue that does not exist is no error.
func (c *Client) DeleteQueue(ctx context.Context, queue string) error {
	return c.call(ctx, queue, "configure", func(ch *amqp.Channel) error {
		_, err := ch.QueueDelete(queue, false, false, false) // ifUnused, ifEmpty, noWait
		return err
	})
}

// Ready returns how many messages of a queue are ready, and how many consumers it has. The consumers may
// hold further messages.
func (c *Client) Ready(ctx context.Context, queue string) (n, consumers int, err error) {
	err = c.call(ctx, queue, "configure", func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil) // the broker ignores the flags
		n, consumers = q.Messages, q.Consumers
		return err
	})
	return n, consumers, err
}
