package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/mutaphore/docker-dispatch/cmd/docker-dispatch/ui"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/client"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/message"
)

// A runClient carries out one command line of `docker-dispatch run`.
type runClient struct {
	line       *message.RunLine
	queue      string
	control    string // empty: none
	url        string
	timeout    time.Duration
	maxMessage int

	stdin          io.Reader
	stdout, stderr io.Writer
	waits          ui.StatusLine
	connect        func(ctx context.Context) (runBroker, error)

	job     string // the job's id, which is the message_id
	replies string // the reply queue
	body    []byte
	answer  *answer
	idFile  atomic.Pointer[os.File] // for the container's id
	warned  bool                    // the engine's warnings have been printed
	pulled  bool                    // it was printed that the image has been pulled
	written []client.Received       // events that are handled and not acked yet

	// noticed is when the broker has noticed, at the latest, that the previous connection is dead. Until then it may hold
	// answers for that connection, which come after later answers. Zero: this is the first connection.
	noticed time.Time

	heard       atomic.Bool   // an answer has come: a daemon has the message
	declared    bool          // the reply queue is declared
	saidMissing bool          // it was printed that the image is missing
	lonely      bool          // it was said that no daemon takes messages from the queue
	stop        chan struct{} // closed when the job is to be stopped
	sent        atomic.Int32  // how far the message has got, and the stop after it: unsent, ...
}

const (
	givenUp int32 = iota - 1 // it was not sent, and must not be any more
	unsent
	onItsWay
	stored
	stopOnItsWay
	stopSent
	stopRefused
)

const (
	// repliesKept is how long the broker keeps the reply queue of a client that is not connected. Output that a container
	// writes meanwhile is on the broker's disk.
	repliesKept = 15 * time.Minute
	// onTheWay is how many events the broker may send without an ack. Each has at most 64 KiB of output.
	onTheWay = 64
	// heartbeatsMissed is the number of heartbeats after which a broker has given up a dead connection.
	heartbeatsMissed = 3
	// lookAfter is the time without an answer after which the broker is asked whether the message's queue exists and has a
	// consumer, and lookAgain the time until it is asked again.
	lookAfter = 10 * time.Second
	lookAgain = time.Minute
	// partingTime limits the calls that delete the reply queue and close the connection.
	partingTime = 5 * time.Second
)

var errLine = errors.New("the connection to the broker ended")

// A leftError says why the client no longer waits for a job that goes on.
type leftError struct{ message string }

func (e *leftError) Error() string { return e.message }

// quit reports whether the message may have been sent. If not, it never will be.
func (c *runClient) quit() bool {
	c.sent.CompareAndSwap(unsent, givenUp)
	return c.sent.Load() != givenUp
}

// fate says what is known of a job that the client no longer waits for.
func (c *runClient) fate() string {
	switch c.sent.Load() {
	case givenUp, unsent:
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

// follow sends the message and waits for the last result, over as many connections as it takes. A connection that fails
// before the message may have been sent is an error. With -d there is no result.
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
		c.waits.Interrupt("docker-dispatch: no connection to the broker; trying again")
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Limits of the wait between two connections, which doubles each time.
const (
	firstWait = 200 * time.Millisecond
	mostWait  = 5 * time.Second
)

// session does the work of follow over one connection. errLine means that another connection may help.
func (c *runClient) session(ctx context.Context) (*event.Result, error) {
	if c.sent.Load() == unsent {
		c.waits.Show("docker-dispatch: connecting to the broker")
	}
	broker, err := c.connect(ctx)
	if err != nil {
		return nil, c.again(ctx, c.unreachable(err))
	}
	// The calls after the end of the job, or of the wait, must work even if ctx has ended.
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

// again makes an errLine of a broker's error if the message may have been sent: then the job may run.
func (c *runClient) again(ctx context.Context, err error) error {
	if ctx.Err() != nil || c.sent.Load() <= unsent {
		return err
	}
	return fmt.Errorf("%w: %w", errLine, err)
}

// converse sends the message and the stop, and takes the answers.
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
		c.written = nil // the previous connection's cannot be acked any more
		answers, err = broker.Consume(consuming, c.replies, onTheWay)
		switch {
		case errors.Is(err, wire.ErrNoQueue):
			return nil, &leftError{fmt.Sprintf("the queue of the answers is gone; the job %s may go on", c.job)}
		case err != nil:
			return nil, c.again(ctx, err)
		}
	}
	if c.sent.Load() >= stored {
		c.waits.Resume()
	} else if err := c.publish(ctx, broker); err != nil {
		return nil, err
	}
	if c.line.Detach {
		return nil, nil
	}
	// takeAll has a goroutine, because it blocks if stdout's reader stops reading. Stops and signals must work even then.
	taken := make(chan taking, 1)
	noticed := c.noticed // a copy, because the goroutine may outlive the connection
	go func() { taken <- c.takeAll(answers, noticed) }()
	stop := (<-chan struct{})(c.stop)
	if c.sent.Load() >= stopSent {
		stop = nil
	}
	type queueLook struct {
		n, consumers int
		err          error
	}
	telling, looked := make(chan error, 1), make(chan queueLook, 1)
	told := time.Now() // when the broker had the stop, at the latest
	look := time.NewTimer(lookAfter)
	defer look.Stop()
	for {
		select {
		case t := <-taken:
			if t.err == errLine && ctx.Err() != nil {
				t.err = ctx.Err()
			}
			return t.result, t.err
		case <-stop: // in a goroutine: a broker short of memory delays the stop, while answers still come
			stop = nil
			c.sent.Store(stopOnItsWay)
			stop := newMessage(randomHex(), fmt.Appendf(nil, `{"Dockercmd": "stop", "Job": %q}`, c.job))
			go func() { telling <- broker.Publish(ctx, c.control, stop) }()
		case err := <-telling:
			if c.hasTold(err) != nil {
				end() // take the rest of this connection's answers before those of the next
			} else {
				told = time.Now()
				look.Reset(0) // without a daemon no answer comes
			}
		case <-look.C:
			if !c.heard.Load() {
				go func() {
					n, consumers, err := broker.Ready(ctx, c.queue)
					looked <- queueLook{n, consumers, err}
				}()
			}
		case l := <-looked:
			unheard := l.err == nil && l.n > 0 && l.consumers == 0 // n is 0 if a daemon has taken the message
			next := lookAgain
			blind := errors.Is(l.err, wire.ErrForbidden) && c.sent.Load() == stopSent
			if blind {
				next = lookAfter
			}
			switch {
			case c.heard.Load():
			case unheard && c.sent.Load() >= stopSent:
				return nil, c.alone("no daemon takes messages from the queue " + c.queue + ";")
			case blind && time.Since(told) >= lookAfter: // a daemon answers a stop at once
				return nil, c.alone("no daemon has answered the stop, and the broker's user may not look at the queue " + c.queue + "; if no daemon runs,")
			case errors.Is(l.err, wire.ErrNoQueue):
				return nil, ui.UsageError(fmt.Sprintf("queue %q is gone, and the message of the job %s with it, unless a daemon had taken that", c.queue, c.job),
					"no daemon has answered: if none runs the job, run it again when a daemon has made the queue anew (--declare quorum)")
			case !unheard || c.lonely:
			case ui.IsTerminal(c.stderr):
				c.waits.Show("docker-dispatch: queued on %s, and no daemon takes messages from it", c.queue)
			default:
				c.lonely = true
				c.say("no daemon takes messages from the queue %s now; the job %s waits there", c.queue, c.job)
			}
			look.Reset(next)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// alone returns the end of a stopped run that no daemon has answered.
func (c *runClient) alone(why string) error {
	left := fmt.Sprintf("left, because %s the job %s stays there", why, c.job)
	if c.sent.Load() == stopSent {
		left += ", and its stop in the queue " + c.control
	}
	return &leftError{left}
}

// publish sends the message. If it is sent again it has the same id, by which the daemon recognizes it.
func (c *runClient) publish(ctx context.Context, broker runBroker) error {
	first := c.sent.CompareAndSwap(unsent, onItsWay)
	if c.sent.Load() == givenUp {
		return context.Canceled
	}
	m := newMessage(c.job, c.body)
	if !c.line.Detach {
		m.ReplyTo = c.replies
	}
	c.waits.Show("docker-dispatch: sending to %s", c.queue) // a broker short of memory may delay this
	err := broker.Publish(ctx, c.queue, m)
	switch {
	case err == nil:
		c.sent.Store(stored)
		c.waits.Show("docker-dispatch: queued on %s", c.queue)
		return nil
	case first && !errors.Is(err, client.ErrUnknown) && ctx.Err() == nil: // nothing was written
		c.sent.Store(unsent)
		if errors.Is(err, client.ErrGone) {
			return c.unreachable(err)
		}
	case errors.Is(err, client.ErrGone), errors.Is(err, client.ErrUnknown):
		return c.again(ctx, err)
	}
	return err
}

// newMessage returns a message for a daemon.
func newMessage(id string, body []byte) client.Message {
	return client.Message{ID: id, ContentType: "application/json", AppID: "docker-dispatch", Timestamp: time.Now(), Body: body}
}
