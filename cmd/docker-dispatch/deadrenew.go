package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc"
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
	failed bool               // one could not be: the rest is returned
}

const (
	// renewBytes is how much of letters is held before they are put into their queue.
	renewBytes = 16 << 20

	// renewTime is how long the broker may take to store them.
	renewTime = 30 * time.Second
)

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
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), renewTime, fmt.Errorf("not stored within %v", renewTime))
	defer cancel()
	var stored []func(context.Context) error
	var err error
	for _, r := range held {
		var confirmed func(context.Context) error
		if confirmed, err = l.client.Send(ctx, l.from, r.Anew()); err != nil {
			break
		}
		stored = append(stored, confirmed)
	}
	for i, confirmed := range stored {
		failed := confirmed(ctx)
		if failed == nil {
			failed = held[i].AckAtEnd() // before that the consumer would get the copy
		}
		if failed != nil {
			err = failed
		}
	}
	if err != nil {
		l.failed = true
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		fmt.Fprintf(l.process.stderr, "docker-dispatch: warning: dead letters could not be put into %s anew: %s; the broker counts each look at them, "+
			"and drops a message at the queue's delivery limit (20 since RabbitMQ 4.0, where nothing else is set): set that to -1 by a policy\n",
			plainLine(l.from), plainLine(err.Error()))
	}
}
