package intake

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
)

// A Job is one delivery of a message, as a source hands it to the pool. The pool settles each Job exactly once.
// It leaves a Job unsettled if the delivery is lost, or the process stops while the work goes on.
type Job struct {
	Queue       string    // the queue that the message came from; "stdin" for standard input
	Place       Place     // where that queue is
	MessageID   string    // the publisher's message_id; "": it gave none
	User        string    // the publisher's name at the broker, which has verified it; "": it gave none
	Published   time.Time // by the message's timestamp; zero: it has none
	Redelivered bool      // the broker's flag; a hint, which can be wrong either way
	Attempt     int       // the attempt's number, from 1, of a job that is tried again; 0 is 1
	Body        []byte

	// Waits says how often the message was put back already to wait for a host, and WaitsSince since when it waits.
	Waits      int
	WaitsSince time.Time

	// Copy tells the copies of one message apart, if dead letters were sent again. It is empty for the message as it
	// was first published, and for a message published again without our headers. A message without a message_id is
	// known by Copy: then no two messages may have the same.
	Copy string

	// Lost reports whether the session of the delivery has ended: then the broker redelivers the message, unless it was settled.
	// Nil: that cannot happen.
	Lost func() bool

	// Released reports whether the broker is known to have requeued the unacked messages of the delivery's session.
	// Nil: it is never known.
	Released func() bool

	// Awaited returns since when the message of a lost delivery could have been redelivered: since its queue is consumed,
	// or (missing) since the broker said that its queue does not exist. since is zero if neither is so.
	// Nil: the delivery can never be lost.
	Awaited func() (since time.Time, missing bool)

	// Abandon says that the redelivery of a lost message is not awaited any more: from now on Store, Again, Reply and
	// Record of this Job do not return ErrDeliveryLost. Nil: they never do.
	Abandon func()

	// Store publishes a copy of the message to the dead-letter queue, with the reason from r. It returns nil when the
	// broker has confirmed the copy: then the message itself is to be acked. ErrDeliveryLost: nothing was published,
	// because the delivery is lost. Any other error is the context's. Nil: Settle needs no copy for DeadLetter.
	Store func(ctx context.Context, r event.Result) error

	// Again publishes a copy of the message, as that attempt of the job with that id. The broker delivers the copy after
	// the delay. Again returns nil when that is sure: then the message itself is to be acked. Errors are as for Store.
	Again func(ctx context.Context, delay time.Duration, attempt int, id string) error
	// PutBack is Again for the same attempt: the message waits for a host that may run it. Nil: there are no hosts.
	PutBack func(ctx context.Context, delay time.Duration, id string) error

	// Control says that the message came by the control queue, for commands that must not wait. Queue is then the queue
	// that the control queue belongs to.
	Control bool

	// Forwarded says how the message came from another host; nil: it came from the queue or the control queue.
	Forwarded *Forwarded

	// Forward publishes a copy of the message to the host that has a claim, as the job with that id. With
	// overtakes the copy does not wait for those of runs there. Forward returns nil when the broker has confirmed the copy: then
	// the message itself is to be acked. ErrNoHost: the claim leads to no host any more. Other errors are as for Store.
	Forward func(ctx context.Context, to Claim, id string, overtakes bool) error

	// Moved tells the host to which Forward has sent the copy that the message itself is acked. It is called after Fence. If
	// the message is a copy itself, Moved waits until Forwarded.Acked is closed.
	Moved func(ctx context.Context) error

	// Invalid is why the message must not be carried out, whatever its body says. Nil: the body decides.
	Invalid error

	// ReplyTo identifies where the result goes: the reply_to, a NUL byte and the correlation_id. It is empty if the publisher did
	// not ask for the result, or the reply_to is refused: then Reply and Stream are nil.
	ReplyTo string

	// Reply publishes the result to the reply_to. It returns nil when the broker has confirmed the result, or the
	// reply_to does not take it any more. Errors are as for Store.
	Reply func(ctx context.Context, r event.Result) error

	// Stream opens a stream of events to the reply_to.
	Stream func() output.Stream

	// Record is Reply to the results queue of all jobs, which must take the result. Nil: there is no such queue.
	Record func(ctx context.Context, r event.Result) error

	// Settle tells the broker the verdict. Nil means that the answer was written to the connection, not that the broker
	// has it: see Fence. ErrDeliveryLost: the delivery's session has ended, and the broker will redeliver the message.
	Settle func(ctx context.Context, v Verdict, r event.Result) error

	// Fence returns nil once the ack that Settle wrote cannot be lost any more. ErrDeliveryLost: it may be lost.
	// Nil: what Settle does cannot be lost.
	Fence func(ctx context.Context) error

	// Alive returns nil once the broker has shown that the delivery is not lost, and ErrDeliveryLost if it is lost.
	// Nil: no delivery can be lost.
	Alive func(ctx context.Context) error
}

// IsLost reports whether the delivery is lost. Where Lost is nil it cannot be.
func (j Job) IsLost() bool { return j.Lost != nil && j.Lost() }

// A Place is where a queue is: queues in different places may have the same name.
type Place struct {
	VHost  string // the virtual host
	Broker string // the broker's name; it can change
}

func (p Place) String() string { return p.Prefix() + p.Broker }

// Prefix is how String begins: the virtual host, without the broker.
func (p Place) Prefix() string { return url.QueryEscape(p.VHost) + "@" }

// ErrDeliveryLost is the error of a Job's functions if the session of the delivery has ended: the broker will redeliver
// the message.
var ErrDeliveryLost = errors.New("the delivery is lost: its connection has ended, and the broker redelivers the message")

// A Verdict says how a message is settled.
type Verdict int

const (
	Ack        Verdict = iota // done: acked
	DeadLetter                // cannot be done: a copy with the reason goes to the dead-letter queue
	Requeue                   // not begun: requeued, for this host or another
	TryAgain                  // failed: tried again later
	Forward                   // another host has the job: a copy goes to it
	PutBack                   // no host may run it yet: delivered again later, as the same attempt
)

func (v Verdict) String() string {
	switch v {
	case Ack:
		return "ack"
	case DeadLetter:
		return "dead letter"
	case Requeue:
		return "requeue"
	case TryAgain:
		return "try again"
	case Forward:
		return "forward"
	case PutBack:
		return "put back"
	}
	return "unknown verdict"
}

// JobID returns the id of a job as it is shown and accepted everywhere: the message_id, with bytes that are not UTF-8 and
// unprintable characters escaped as in Go, such as \xe9.
func JobID(id string) string {
	if utf8.ValidString(id) && !strings.ContainsFunc(id, func(c rune) bool { return !strconv.IsPrint(c) }) {
		return id
	}
	quoted := strconv.Quote(id)
	return quoted[1 : len(quoted)-1]
}
