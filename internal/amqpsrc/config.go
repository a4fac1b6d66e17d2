package amqpsrc

import (
	"log/slog"
	"net"
	"strings"

	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// Config says which queue a Source takes its messages from, and how.
type Config struct {
	URL   string // AMQP URI; see CheckURL
	Queue string

	// Declare is the type, "classic" or "quorum", of the durable queue that is made where there is
	// none. With "" the queue must exist. One that exists is used as it is.
	Declare string

	// Prefetch is how many messages may be unacked at a time, 1 to 65535.
	Prefetch int

	// MaxMessage is the largest body that can be done, in bytes. Larger ones are handed over too, but few are held at a
	// time. 0: there is no limit to either.
	MaxMessage int

	// DeadLetter names the queue, in the same vhost, for messages that cannot be done. It is made
	// where it is missing. With "" they are rejected, which leaves them to the dead-letter exchange
	// of the queue, and drops them where it has none.
	DeadLetter string

	// Results names a queue, in the same vhost, for the results of all jobs. It must exist, but where
	// Declare is given. With "" there is none.
	Results string

	// Control names a second queue, in the same vhost, whose messages are not to wait behind those of Queue.
	// It is made where it is missing. With "" there is none.
	Control string

	oversized int64 // bytes that messages larger than MaxMessage may take at a time; 0: wire.OversizedBytes
	controls  bool  // this is the Config of the control queue's own session

	Host    string // this host's name
	Version string // of the program
	Log     *slog.Logger
	Gate    *cmd.Gate // while it is closed nothing is taken from the queue; nil: always open

	// Dial opens a TCP connection. Nil: as the net package does, ended with the attempt.
	Dial func(network, addr string) (net.Conn, error)
}

// source is the queue that a session consumes.
func (c *Config) source() string {
	if c.controls {
		return c.Control
	}
	return c.Queue
}

// own tells whether a queue is one of ours: what were published there would be taken for a command, or
// for a dead letter.
func (c *Config) own(queue string) bool {
	return queue == c.Queue || queue == c.DeadLetter || queue == c.Control || queue == c.Results || strings.HasPrefix(queue, c.Queue+".retry.")
}

// ControlPrefetch is how many messages of the control queue may be unacked. Most are done in no time; an exec or
// a wait is not.
const ControlPrefetch = 250
