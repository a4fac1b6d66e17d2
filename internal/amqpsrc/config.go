package amqpsrc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/claims"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/publish"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// Config is the configuration of a Source: its queues, limits and hooks.
type Config struct {
	URL   string // AMQP URI; see wire.CheckURL
	Queue string

	// Declare is the type, "classic" or "quorum", of the durable queue to create if Queue does not exist.
	// With "" the queue must exist. An existing queue is used as it is.
	Declare string

	// Prefetch is how many messages may be unacked at a time, 1 to 65535.
	Prefetch int

	// MaxMessage is the largest body that can be carried out, in bytes. Larger messages are handed over too, but only
	// few are held at a time. 0: neither is limited.
	MaxMessage int

	// DeadLetter names the queue, in the same vhost, for messages that cannot be carried out. It is created if
	// it does not exist. With "" they are rejected: the broker sends them to the dead-letter exchange of the
	// queue, or drops them if there is none.
	DeadLetter string

	// Results names a queue, in the same vhost, for the results of all jobs. It must exist unless Declare is
	// given. With "" there is none.
	Results string

	// Control names a second queue, in the same vhost, whose messages do not wait for those of Queue.
	// It is created if it does not exist. With "" there is none.
	Control string

	// HostName names this host, if several hosts share Queue: see [claims.ValidHost]. DeadLetter must be given too. With "" there
	// is one host. HostLabels and EngineID are as of [claims.Config].
	HostName   string
	HostLabels map[string]string
	EngineID   func(context.Context) (string, error)

	oversized int64 // bytes of messages larger than MaxMessage that are held at a time; 0: wire.OversizedBytes
	users     publish.Users
	controls  bool         // this is the Config of a control queue's session
	hosted    bool         // this is the Config of the session of one of the host's queues
	entered   *intake.Gate // open while the broker knows that this host lives; nil: there are no hosts

	Host    string // this host's name
	Version string // of the program
	Log     *slog.Logger
	Gate    *intake.Gate // while it is closed no message is taken from the queue; nil: always open

	Room *intake.Gate // while it is closed no message is taken from the queue, but from the control queue; nil: always open

	// Keep is how long a consumer with unacked deliveries is kept while no message may be taken (see session.serve). Then it is
	// cancelled, and what it was sent meanwhile is handed over: the pool requeues it if Gate is closed. A consumer is not cancelled
	// at once: if the broker's node of this connection dies, a quorum queue does not redeliver what a cancelled consumer has not
	// acked until the queue's leader changes (seen on RabbitMQ 3.10 and 4.0).
	Keep time.Duration

	// Status returns the status with which questions of ps are answered. Nil: none are answered.
	Status func() status.Status

	// Dial opens a TCP connection. Nil: the net package does, and gives up when the attempt ends.
	Dial func(network, addr string) (net.Conn, error)
}

// check returns an error if the Config cannot be right.
func (c *Config) check() error {
	switch {
	case c.Queue == "" || len(c.Queue) > 255:
		return errors.New("the name of the queue must have 1 to 255 bytes")
	case len(c.DeadLetter) > 255:
		return errors.New("the name of the dead-letter queue has more than 255 bytes")
	case c.DeadLetter == c.Queue:
		return errors.New("the dead-letter queue must not be the queue itself")
	case len(c.Control) > 255:
		return errors.New("the name of the control queue has more than 255 bytes")
	case c.Control != "" && (c.Control == c.Queue || c.Control == c.DeadLetter || c.Control == c.Results):
		return errors.New("the control queue must be none of the others")
	case len(c.Results) > 255:
		return errors.New("the name of the results queue has more than 255 bytes")
	case c.Results != "" && (c.Results == c.Queue || c.Results == c.DeadLetter):
		return errors.New("the results queue must be none of the others")
	case c.Declare != "" && c.Declare != amqp.QueueTypeClassic && c.Declare != amqp.QueueTypeQuorum:
		return fmt.Errorf("a queue can be declared as classic or quorum, not as %q", c.Declare)
	case c.HostName != "" && !claims.ValidHost(c.HostName):
		return fmt.Errorf("%q cannot be a host's name: it must have 1 to %d letters, digits, _, . and -, begin with a letter or digit, and not end in .control, .lock or .seen", c.HostName, claims.MostHost)
	case c.HostName != "" && c.DeadLetter == "":
		return errors.New("several hosts need a dead-letter queue: what is rejected from a host's queue goes back to the queue")
	case c.Prefetch < 1 || c.Prefetch > 65535:
		return fmt.Errorf("the prefetch is %d; it must be in 1 to 65535", c.Prefetch)
	}
	return nil
}

// source returns the queue that a session consumes.
func (c *Config) source() string {
	switch {
	case c.hosted && c.controls:
		return claims.ControlQueue(c.Queue, c.HostName)
	case c.controls:
		return c.Control
	case c.hosted:
		return claims.HostQueue(c.Queue, c.HostName)
	}
	return c.Queue
}

// primary reports whether this is the Config of the job queue's session.
func (c *Config) primary() bool { return !c.controls && !c.hosted }

// open reports whether all gates are open that count for this session, and returns their changes.
func (c *Config) open() (open bool, gate, room, entered <-chan struct{}) {
	open, gate = c.Gate.State()
	has, in := true, true
	if c.primary() {
		has, room = c.Room.State()
	}
	if c.entered != nil {
		in, entered = c.entered.State()
	}
	return open && has && in, gate, room, entered
}

// own reports whether a queue is one of docker-dispatch. An answer there would be taken for a command, a dead
// letter or a result.
func (c *Config) own(queue string) bool {
	for _, prefix := range []string{".retry.", ".host.", ".hosts"} {
		if strings.HasPrefix(queue, c.Queue+prefix) {
			return true
		}
	}
	return queue == c.Queue || queue == c.DeadLetter || queue == c.Control || queue == c.Results
}

// ControlPrefetch is how many messages of the control queue may be unacked. Most are done at once, except an exec or
// a wait.
const ControlPrefetch = 250
