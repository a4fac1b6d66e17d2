package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// runClient is docker-dispatch run at work.
type runClient struct {
	line       *message.RunLine
	queue      string
	control    string // empty: none
	url        string
	timeout    time.Duration
	maxMessage int

	stdin          io.Reader
	stdout, stderr io.Writer
	waits          statusLine
	connect        func(ctx context.Context) (runBroker, error)

	job     string // its id: the message's
	replies string // the queue of its answers
	body    []byte
	answer  *answer
	idFile  *os.File          // where the container's id goes; guarded by mu
	warned  bool              // the engine's warnings have been printed
	written []client.Received // events whose effect is here, and which the broker does not know of yet

	// noticed is when the broker has noticed at the latest that the connection before is dead. Until then it may
	// hold answers for that, which come after later ones. Zero: there was none.
	noticed time.Time

	heard    atomic.Bool   // an answer has come: a daemon has the message
	declared bool          // the queue of the answers
	stop     chan struct{} // closed when the job is to be stopped
	told     bool          // the daemon's queue has the command, or cannot have it
	mu       sync.Mutex
	over     bool  // the message must not go any more; guarded by mu
	sent     reach // guarded by mu
}

// reach is how far the message has come, and the command behind it.
type reach int

const (
	unsent reach = iota
	onItsWay
	stored
	stopOnItsWay
	stopSent
	stopRefused
)

const (
	// repliesKept is how long the broker keeps the answers for a client that is away. What a container writes
	// meanwhile is on the broker's disk.
	repliesKept = 15 * time.Minute
	// onTheWay is how many events the broker may be ahead of us, of at most 64 KiB of output each.
	onTheWay = 64
	// heartbeatsMissed is after how many heartbeats a broker has given up a connection that is dead.
	heartbeatsMissed = 3
	// lookAfter is after how long without an answer the broker is asked if the queue of the message still exists.
	lookAfter = time.Minute
	// partingTime bounds the calls behind the end.
	partingTime = 5 * time.Second
)

var errLine = errors.New("the connection to the broker ended")

// A leftError is why a job that goes on is not waited for any longer.
type leftError struct{ publication string }

func (e *leftError) Error() string { return e.publication }

// quit tells whether the message may have been sent. If not, it never will be.
func (c *runClient) quit() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	return c.sent != unsent
}

func (c *runClient) send() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sent == unsent && !c.over {
		c.sent = onItsWay
	}
	return c.sent != unsent
}

func (c *runClient) have(s reach) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = s
}

func (c *runClient) state() reach {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// fate is what is known of a job that is not waited for any longer.
func (c *runClient) fate() string {
	switch c.state() {
	case unsent:
		return "nothing was sent"
	case onItsWay:
		return "the job " + c.job + " may go on: the broker has not said that it has it"
	case stopOnItsWay:
		return "the job " + c.job + " may go on: the broker has not said that it has the stop"
	case stopSent:
		return "the job " + c.job + " was told to stop"
	}
	return "the job " + c.job + " goes on"
}

// follow sends the message and waits for the last result, over as many connections as it takes. Before the
// message may have been sent a connection that fails is an error. With -d there is no result.
func (c *runClient) follow(ctx context.Context) (*event.Result, error) {
	for wait := firstWait; ; wait = min(2*wait, mostWait) {
		began := time.Now()
		result, err := c.session(ctx)
		if !errors.Is(err, errLine) {
			return result, err
		}
		if time.Since(began) > mostWait {
			wait = firstWait
		}
		c.waits.interrupt("docker-dispatch: no connection to the broker; trying again")
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Between two connections.
const (
	firstWait = 200 * time.Millisecond
	mostWait  = 5 * time.Second
)

// session is what follow does over one connection. errLine says that another may help.
func (c *runClient) session(ctx context.Context) (*event.Result, error) {
	if c.state() == unsent {
		c.waits.show("docker-dispatch: connecting to the broker")
	}
	broker, err := c.connect(ctx)
	if err != nil {
		return nil, c.again(ctx, c.unreachable(err))
	}
	// The job may end, or be left, while ctx does not live any more.
	after, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	result, err := c.converse(ctx, broker)
	c.noticed = time.Now().Add(heartbeatsMissed * broker.Heartbeat())
	time.AfterFunc(partingTime, cancel)
	if !errors.Is(err, errLine) && c.declared {
		broker.DeleteQueue(after, c.replies) // else it expires
	}
	broker.Close(after)
	return result, err
}

// again makes errLine of an error of the broker's where the message may be on its way: then the job is, too.
func (c *runClient) again(ctx context.Context, err error) error {
	if ctx.Err() != nil || c.state() == unsent {
		return err
	}
	return fmt.Errorf("%w: %w", errLine, err)
}

// converse sends what is to be sent, and takes the answers.
func (c *runClient) converse(ctx context.Context, broker runBroker) (*event.Result, error) {
	var answers <-chan client.Received
	consuming, end := context.WithCancel(ctx)
	defer end()
	if !c.line.Detach {
		if !c.declared {
			if err := broker.DeclareReplies(ctx, c.replies, repliesKept); err != nil {
				return nil, err
			}
			c.declared = true
		}
		var err error
		c.written = nil // those of the last connection
		answers, err = broker.Consume(consuming, c.replies, onTheWay)
		switch {
		case errors.Is(err, wire.ErrNoQueue):
			return nil, &leftError{fmt.Sprintf("the queue of the answers is gone; the job %s may go on", c.job)}
		case err != nil:
			return nil, c.again(ctx, err)
		}
	}
	if c.state() >= stored {
		c.waits.resume()
	} else if err := c.publish(ctx, broker); err != nil {
		return nil, err
	}
	if c.line.Detach {
		return nil, nil
	}
	// Whoever reads our output may stop reading: that must keep no command from its queue, and nobody from leaving.
	taken := make(chan taking, 1)
	noticed := c.noticed // this goroutine's copy: it may outlive the connection
	go func() { taken <- c.takeAll(answers, noticed) }()
	stop := (<-chan struct{})(c.stop)
	if c.told {
		stop = nil
	}
	telling, looked := make(chan error, 1), make(chan error, 1)
	look := time.NewTimer(lookAfter)
	defer look.Stop()
	for {
		select {
		case t := <-taken:
			if t.err == errLine && ctx.Err() != nil {
				t.err = ctx.Err()
			}
			return t.result, t.err
		case <-stop: // beside the answers too: a broker that is short of memory lets it wait, and they come
			stop = nil
			c.have(stopOnItsWay)
			go func() { telling <- broker.Publish(ctx, c.control, c.stopMessage()) }()
		case err := <-telling:
			if c.hasTold(err) != nil {
				end() // another connection's answers are taken behind those of this one
			}
		case <-look.C:
			if !c.heard.Load() {
				go func() {
					_, _, err := broker.Ready(ctx, c.queue)
					looked <- err
				}()
			}
		case err := <-looked:
			if errors.Is(err, wire.ErrNoQueue) && !c.heard.Load() {
				return nil, usageError(fmt.Sprintf("queue %q is gone, and the message of the job %s with it, unless a daemon had taken that", c.queue, c.job),
					"no daemon has answered: if none runs the job, run it again when a daemon has made the queue anew (--declare quorum)")
			}
			look.Reset(lookAfter)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// publish sends the message. Sent again it has the same id, by which the daemon knows it.
func (c *runClient) publish(ctx context.Context, broker runBroker) error {
	first := c.state() == unsent
	if !c.send() {
		return context.Canceled
	}
	m := client.Message{ID: c.job, ContentType: "application/json", AppID: "docker-dispatch", Timestamp: time.Now(), Body: c.body}
	if !c.line.Detach {
		m.ReplyTo = c.replies
	}
	c.waits.show("docker-dispatch: sending to %s", c.queue) // a broker that is short of memory takes its time
	err := broker.Publish(ctx, c.queue, m)
	switch {
	case err == nil:
		c.have(stored)
		c.waits.show("docker-dispatch: queued on %s", c.queue)
		return nil
	case first && !errors.Is(err, client.ErrUnknown) && ctx.Err() == nil: // nothing was written
		c.have(unsent)
		if errors.Is(err, client.ErrGone) {
			return c.unreachable(err)
		}
	case errors.Is(err, client.ErrGone), errors.Is(err, client.ErrUnknown):
		return c.again(ctx, err)
	}
	return err
}

// stopMessage has the daemon stop the job.
func (c *runClient) stopMessage() client.Message {
	return client.Message{ID: randomHex(), ContentType: "application/json", AppID: "docker-dispatch", Timestamp: time.Now(), Body: jsonStop(c.job)}
}
