package amqpsrc

import (
	"log/slog"
	"net"
	"strings"

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

	oversized int64 // bytes of messages larger than MaxMessage that are held at a time; 0: wire.OversizedBytes
	users     publish.Users
	controls  bool // this is the Config of the control queue's session

	Host    string // this host's name
	Version string // of the program
	Log     *slog.Logger
	Gate    *intake.Gate // while it is closed no message is taken from the queue; nil: always open

	Room *intake.Gate // while it is closed no message is taken from the queue, but from the control queue; nil: always open

	// Status returns the status with which questions of ps are answered. Nil: none are answered.
	Status func() status.Status

	// Dial opens a TCP connection. Nil: the net package does, and gives up when the attempt ends.
	Dial func(network, addr string) (net.Conn, error)
}

// source returns the queue that a session consumes.
func (c *Config) source() string {
	if c.controls {
		return c.Control
	}
	return c.Queue
}

// open reports whether both gates are open, as far as they count for this session.
func (c *Config) open() (open bool, gate, room <-chan struct{}) {
	open, gate = c.Gate.State()
	if c.controls {
		return open, gate, nil
	}
	has, room := c.Room.State()
	return open && has, gate, room
}

// own reports whether a queue is one of docker-dispatch. An answer there would be taken for a command, a dead
// letter or a result.
func (c *Config) own(queue string) bool {
	return queue == c.Queue || queue == c.DeadLetter || queue == c.Control || queue == c.Results || strings.HasPrefix(queue, c.Queue+".retry.")
}

// ControlPrefetch is how many messages of the control queue may be unacked. Most are done at once, except an exec or
// a wait.
const ControlPrefetch = 250
