package amqpsrc

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

const (
	// lanes is how many channels of a line all streams share. Streams to one queue share a lane: a queue that does not
	// confirm holds up few others.
	lanes = 4

	// laneWindow is how many messages may be unconfirmed on a lane. The broker may return each of them, and the
	// reader of the connection must not wait for room.
	laneWindow = 1024
)

// errShared means that the broker closed a lane over one of its messages. It does not say over which: each stream
// finds out by sending its messages one by one.
var errShared = errors.New("the broker closed the channel over a message of this stream or of another")

// A lane is a channel in confirm mode on which many streams publish. A connection has too few channels for one per
// job that streams.
type lane struct {
	*wire.Outlet
	slots chan struct{} // a token for each unconfirmed message

	mu     sync.Mutex
	back   map[string]int // returned messages that outcome has not matched yet, by returnKey; guarded by mu
	reason error          // why the broker closed the channel; guarded by mu
}

// lane returns the lane of a queue.
func (l *line) lane(ctx context.Context, queue string) (found *lane, err error) {
	err = l.call(ctx, func(l *line) error {
		at := &l.lanes[maphash.String(l.seed, queue)%lanes]
		if *at == nil || (*at).Ch.IsClosed() {
			o, err := l.open(laneWindow)
			if err != nil {
				return wire.Plain(err)
			}
			*at = &lane{Outlet: o, slots: make(chan struct{}, laneWindow), back: make(map[string]int)}
		}
		found = *at
		return nil
	})
	return found, err
}

func returnKey(queue, id string) string { return queue + "\x00" + id }

// outcome returns the outcome of a message whose confirm is done, and frees its slot.
func (k *lane) outcome(l *line, queue string, m sent) error {
	defer func() { <-k.slots }()
	k.mu.Lock()
	defer k.mu.Unlock()
	// A return comes before its confirm, so it is here by now.
	for len(k.Returned) > 0 {
		r := <-k.Returned
		k.back[returnKey(r.RoutingKey, r.MessageId)]++
	}
	key := returnKey(queue, m.message.MessageId)
	switch {
	case k.back[key] > 0:
		if k.back[key]--; k.back[key] == 0 {
			delete(k.back, key)
		}
		return wire.ErrUnroutable
	case m.confirm.Acked():
		return nil
	case !k.Ch.IsClosed():
		return wire.ErrNacked
	}
	return k.why(l)
}

// why returns why the channel was closed. The caller holds mu.
func (k *lane) why(l *line) error {
	if k.reason == nil {
		k.reason = k.End(l.link)
		if k.reason != wire.ErrLine {
			k.reason = fmt.Errorf("%w: %v", errShared, k.reason) // %v: it may be another stream's
		}
	}
	return k.reason
}

// abandon frees the slots of messages whose stream waits no longer, each when its confirm is done.
func (k *lane) abandon(l *line, queue string, messages []sent) {
	for _, m := range messages {
		if m.confirm == nil { // not written
			continue
		}
		<-m.confirm.Done() // at the latest when the channel is closed, with its connection
		_ = k.outcome(l, queue, m)
	}
}

// write sends a message without waiting for its confirm. The caller has a slot for it. If nothing was sent, write
// frees the slot.
func (k *lane) write(l *line, queue string, m amqp.Publishing) (*amqp.DeferredConfirmation, error) {
	dc, err := k.Publish(queue, m)
	if err == nil {
		return dc, nil
	}
	<-k.slots
	k.mu.Lock()
	defer k.mu.Unlock()
	return nil, k.why(l)
}
