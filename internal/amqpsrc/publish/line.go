package publish

import (
	"context"
	"fmt"
	"hash/maphash"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

const (
	// lanes is how many channels of a line all streams share: a connection has too few channels for one per stream. Streams
	// to one queue share a lane, so a queue that does not confirm holds up few others.
	lanes = 4

	// laneWindow is how many messages may be unconfirmed on a lane.
	laneWindow = 1024
)

// A line is one connection that publishes.
type line struct {
	link  *wire.Link
	free  chan *wire.Outlet   // outlets not in use, each for one message at a time
	turn  chan struct{}       // held while synchronous calls are made
	over  chan struct{}       // closed when the connection has ended
	lanes [lanes]*wire.Outlet // held by turn; nil: not opened yet
	seed  maphash.Seed        // spreads queues over lanes
}

// await receives from c, or returns why the wait ended. If c is closed, v is the zero value.
func await[T any](ctx context.Context, over <-chan struct{}, c <-chan T) (v T, err error) {
	select {
	case v = <-c:
		return v, nil
	case <-over:
		return v, wire.ErrLine
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

// hand sends v to c, or returns why it cannot.
func hand[T any](ctx context.Context, over <-chan struct{}, c chan<- T, v T) error {
	select {
	case c <- v:
		return nil
	case <-over:
		return wire.ErrLine
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ready waits while the broker blocks. A message would wait in the socket, and a call would get no answer.
func (l *line) ready(ctx context.Context) error {
	for {
		open, changed := l.link.Unblocked.State()
		if open {
			return nil
		}
		if _, err := await(ctx, l.over, changed); err != nil {
			return err
		}
	}
}

// call makes synchronous calls. One goroutine at a time does, which bounds the channels in use. If the broker does not answer,
// call cuts the connection, soon if ctx has ended.
func (l *line) call(ctx context.Context, calls func() error) error {
	if err := hand(ctx, l.over, l.turn, struct{}{}); err != nil {
		return err
	}
	defer func() { <-l.turn }()
	if err := l.ready(ctx); err != nil {
		return err
	}
	return l.link.Until(ctx, wire.RPCTimeout, calls)
}

// outlet takes an outlet from free. If the last message on it closed the channel, or its confirm was not awaited, outlet
// replaces it. The caller puts it back.
func (l *line) outlet(ctx context.Context) (o *wire.Outlet, err error) {
	last, err := await(ctx, l.over, l.free)
	if err != nil || last.Idle() {
		return last, err
	}
	err = l.call(ctx, func() (err error) {
		if err = last.Ch.Close(); err == nil {
			o, err = l.link.Outlet(1)
		}
		if err != nil {
			l.link.Wire.Abort()
			err = fmt.Errorf("%w: %w", wire.ErrLine, err)
		}
		return err
	})
	if err != nil {
		l.free <- last
	}
	return o, err
}

// lane returns the lane of a queue.
func (l *line) lane(ctx context.Context, queue string) (lane *wire.Outlet, err error) {
	err = l.call(ctx, func() (err error) {
		at := &l.lanes[maphash.String(l.seed, queue)%lanes]
		if *at == nil || (*at).Ch.IsClosed() {
			*at, err = l.link.Outlet(laneWindow)
		}
		lane = *at
		return wire.Plain(err)
	})
	return lane, err
}
