package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// A renewal is about the letters that one look leaves where they are. A quorum queue counts how often it had a message back,
// and drops it when that is more than its delivery limit, of which nobody tells us. So a letter that has been returned
// before is put into its queue anew, and acked behind that; it is never returned a second time.
// All behind it are, too, which keeps the order.
type renewal struct {
	*morgue
	client *amqpsrc.Client
	held   []amqpsrc.Received // to be put into the queue anew
	bytes  int                // of them
	begun  bool               // one was found that needs it
	failed bool               // none can be: the rest is returned
	unsent []string           // IDs of those that could not be
	why    error              // of the first of them
}

const (
	// renewBytes is how much of letters is held before they are put into their queue.
	renewBytes = 16 << 20

	// renewTime is how long the broker may take to store them.
	renewTime = 30 * time.Second
)

var errNotInTime = fmt.Errorf("not stored within %v", renewTime)

// stay leaves letters in the queue, but for those that are settled.
func (m *morgue) stay(ctx context.Context, client *amqpsrc.Client, letters []amqpsrc.Received) {
	l := &renewal{morgue: m, client: client}
	for _, r := range letters {
		l.add(ctx, r)
	}
	l.renew(ctx)
}

// add takes a letter that is to stay in the queue.
func (l *renewal) add(ctx context.Context, r amqpsrc.Received) {
	if r.Settled() || !l.begun && r.DeadLetter().Looks == 0 {
		return
	}
	l.begun = true
	l.held = append(l.held, r)
	if l.bytes += len(r.Body); l.bytes >= renewBytes {
		l.renew(ctx)
	}
}

// renew puts those that are held into the queue anew. One that is not stored for sure stays as it is.
func (l *renewal) renew(ctx context.Context) {
	held := l.held
	l.held, l.bytes = nil, 0
	if l.failed || len(held) == 0 {
		return
	}
	// A signal does not end it: what is sent already is to be known.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), renewTime, errNotInTime)
	defer cancel()
	type copied struct {
		amqpsrc.Received
		confirmed func(context.Context) error
	}
	var copies []copied
	for _, r := range held {
		confirmed, err := l.client.Send(ctx, l.from, r.Anew())
		if err == nil {
			copies = append(copies, copied{r, confirmed})
		} else if l.missed(r, err); l.failed {
			break
		}
	}
	for _, c := range copies {
		err := c.confirmed(ctx)
		if err == nil {
			err = c.AckAtEnd() // before that the consumer would get the copy
		}
		if err != nil {
			l.missed(c.Received, cmp.Or(causeOr(ctx, nil), err))
		}
	}
	if len(l.unsent) > 0 {
		fmt.Fprintf(l.process.stderr, "docker-dispatch: warning: dead letters could not be put into %s anew: %s: %s; the broker counts each look at them, "+
			"and drops a message at the queue's delivery limit (20 since RabbitMQ 4.0, where nothing else is set): set that to -1 by a policy\n",
			plainLine(l.from), l.unsentIDs(), plainLine(l.why.Error()))
		l.unsent = nil
	}
}

// missed notes a letter that is not in the queue anew. If the others fare no better, no further one is sent.
func (l *renewal) missed(r amqpsrc.Received, err error) {
	if len(l.unsent) == 0 {
		l.why = err
	}
	l.unsent = append(l.unsent, plainLine(idOf(r)))
	for _, all := range []error{amqpsrc.ErrGone, amqpsrc.ErrUnknown, amqpsrc.ErrForbidden, amqpsrc.ErrNoQueue, errNotInTime, cmd.ErrDeliveryLost} {
		l.failed = l.failed || errors.Is(err, all)
	}
}

// unsentIDs names the letters that were missed, the first few of them.
func (l *renewal) unsentIDs() string {
	const most = 5
	if n := len(l.unsent); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(l.unsent[:most], ", "), n-most)
	}
	return strings.Join(l.unsent, ", ")
}
