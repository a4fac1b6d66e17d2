package cmd

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
	"github.com/mutaphore/docker-dispatch/internal/cmd/output"
)

// A Job is one message's work, as a source hands it to the pool. The pool settles each job
// exactly once, or leaves it unsettled when the process is told to stop while it runs.
type Job struct {
	Queue       string // the queue that the message came from; "stdin" for standard input
	Place       Place  // where that queue is
	MessageID   string // the publisher's message_id; empty where it gave none
	Redelivered bool   // the broker's flag; a hint, wrong both ways
	Attempt     int    // which attempt of a job that is tried again this is, from 1; 0 is 1
	Body        []byte

	// Copy tells apart the copies of one message, where dead letters were sent again. It is empty for
	// the message as it was published first, and where it was published again without our headers. A message without a
	// message_id is known by it, so that no two of those may have the same.
	Copy string

	// Lost tells whether the session that brought the delivery has ended, so that the broker will
	// deliver the message again. Nil where that cannot happen.
	Lost func() bool

	// Released tells whether the broker is known to have taken back, by now, what that session had not acked. Nil: it is not.
	Released func() bool

	// Awaited returns since when the delivery, once lost, could have come again: since its queue is consumed,
	// or since the broker says that there is no such queue, which is then missing. It is zero where neither is so. Nil: it
	// can never be lost.
	Awaited func() (since time.Time, missing bool)

	// Abandon says that a message which is lost is not waited for any more: from now on Store, Again, Reply and
	// Record of this Job do not return ErrDeliveryLost. Nil where they never do.
	Abandon func()

	// Store keeps a copy of the message, with why it is one, in the dead-letter queue. It returns
	// nil when the broker has confirmed that: then the message itself is to be acked. ErrDeliveryLost:
	// nothing was kept, for the broker has taken the message back. Any other error is the context's.
	// It is nil where Settle needs no copy for DeadLetter.
	Store func(ctx context.Context, r event.Result) error

	// Again keeps a copy of the message that comes back after the delay, as that attempt of the job
	// with that id. It returns nil when that is sure: then the message itself is to be acked. Any
	// other error is the context's.
	Again func(ctx context.Context, delay time.Duration, attempt int, id string) error

	// Control says that the message came by the queue for commands that must not wait. Queue is the one that
	// this belongs to.
	Control bool

	// Invalid is why the message is not to be carried out, whatever its body says; nil: that decides.
	Invalid error

	// ReplyTo tells apart where answers go. It is empty where nobody asked for one; Reply and Stream are nil
	// then.
	ReplyTo string

	// Reply sends the result to whoever asked for it. It returns nil when the broker has confirmed that,
	// or nobody takes it any more. ErrDeliveryLost: nothing was sent, for the broker has taken the message
	// back. Any other error is the context's.
	Reply func(ctx context.Context, r event.Result) error

	// Stream opens a stream of events to whoever asked for the result.
	Stream func() output.Stream

	// Record is Reply to the queue for the results of all jobs, which must take it. Nil: there is none.
	Record func(ctx context.Context, r event.Result) error

	// Settle tells the broker the verdict. A nil error means that the answer was written to the
	// connection, not that the broker has it: see Fence. ErrDeliveryLost means that the
	// delivery's session is gone, and that the broker will deliver the message again.
	Settle func(ctx context.Context, v Verdict, r event.Result) error

	// Fence returns nil once the broker can no longer lose the ack that Settle wrote. It is nil
	// where a source has no such doubt.
	Fence func(ctx context.Context) error

	// Alive returns nil once the broker has shown that the delivery is not lost. It is nil where none can be. ErrDeliveryLost
	// means that it is.
	Alive func(ctx context.Context) error
}

// lost is Lost where that can happen.
func (j Job) lost() bool { return j.Lost != nil && j.Lost() }

// A Place is where a queue is: the same name can stand for several.
type Place struct {
	VHost  string // the virtual host
	Broker string // what the broker calls itself; that can change
}

func (p Place) String() string { return p.vhost() + p.Broker }

// vhost is how the place begins in a label.
func (p Place) vhost() string { return url.QueryEscape(p.VHost) + "@" }

// ErrDeliveryLost is returned by Job.Settle and Job.Fence when the session that brought the
// delivery has ended: the broker has taken the message back and will deliver it again.
var ErrDeliveryLost = errors.New("the delivery is lost: its connection has ended, and the broker will deliver the message again")

// A Verdict is what becomes of a message.
type Verdict int

const (
	Ack        Verdict = iota // done: the broker forgets the message
	DeadLetter                // cannot be done: kept in the dead-letter queue, with its reason
	Requeue                   // not begun: back to the queue, for this host or another
	TryAgain                  // failed, and to be tried again later
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
	}
	return "unknown verdict"
}
