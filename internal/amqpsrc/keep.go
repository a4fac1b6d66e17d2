package amqpsrc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// hopeless is how long to wait before the next attempt at what the broker refuses for good, such as a
// message larger than it takes by now. It is tried again all the same: somebody may raise the limit,
// and to give up would be to lose the message.
const hopeless = 5 * time.Minute

// A keeping is what must be stored in a queue before a message is acked: a copy of it, or its result.
type keeping struct {
	what     string            // for the log
	queue    string            // where it goes
	declare  func(*line) error // makes sure of the queue; nil: that is somebody else's
	fresh    bool              // which is done each time, for the queue goes away where nobody does
	message  func(frameMax int) amqp.Publishing
	lost     func() bool          // the broker has taken the message back: another may carry it out
	patience func() time.Duration // how long a confirm may take; nil: confirmTimeout
	turns    chan struct{}        // holds a token while an attempt is under way; nil: any number may be
	vain     func(err error) bool // asked when it is not confirmed: to go on is in vain; nil: never
	young    func() time.Duration // how long yet the broker may forget the queue with all that is in it; nil: not at all
}

// A vainError is why something is not kept after all.
type vainError struct{ error }

// keep returns nil once the broker has confirmed that it stored the copy. Until then it tries again, ever
// more slowly, and the original stays unacked. It gives up when ctx ends, with its error; with
// ErrDeliveryLost where the delivery is lost and nothing was sent; and with a vainError where that is vain.
func (p *publisher) keep(ctx context.Context, messageID string, k keeping) error {
	log := p.log.With("message_id", messageID, "to", k.queue)
	report := wire.Reporter{Log: log, Lost: k.what + " not stored, waiting; its message stays in the queue", Back: k.what + " stored after all"}
	wait := wire.Reconnecting()
	declare, sent := k.fresh, false
	for {
		var err error
		if declare {
			err = p.call(ctx, k.declare)
		}
		if err == nil && k.young != nil && !wire.Sleep(ctx, k.young()) {
			return ctx.Err()
		}
		if err == nil {
			err = p.attempt(ctx, k, func() bool {
				sent = sent || !k.lost()
				return sent
			})
		}
		switch {
		case err == nil:
			report.Well()
			return nil
		case err == cmd.ErrDeliveryLost, ctx.Err() != nil:
			return cmp.Or(ctx.Err(), err)
		}
		delay := wait.Next()
		level := slog.LevelWarn
		if k.vain != nil && k.vain(err) {
			return &vainError{err}
		}
		switch {
		case errors.Is(err, wire.ErrUnroutable) && k.declare != nil:
			// The queue was deleted: made again, it is there for the next attempt.
			if failed := p.call(ctx, k.declare); failed != nil {
				err = fmt.Errorf("%w, and cannot be made again: %w", err, failed)
			}
		case errors.Is(err, wire.ErrLine):
			// Nobody knows whether it was stored. The publisher has its own delays and its own log.
			log.Debug(k.what+" not confirmed", "error", err)
			if !wire.Sleep(ctx, delay) {
				return ctx.Err()
			}
			continue
		case wire.TooLarge(err):
			delay = hopeless/2 + rand.N(hopeless/2)
			level = slog.LevelError
		}
		report.FailAt(level, err)
		if !wire.Sleep(ctx, delay) {
			return ctx.Err()
		}
	}
}

// attempt publishes once.
func (p *publisher) attempt(ctx context.Context, k keeping, may func() bool) error {
	if k.turns != nil {
		select {
		case k.turns <- struct{}{}:
			defer func() { <-k.turns }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	patience := confirmTimeout
	if k.patience != nil {
		patience = k.patience()
	}
	if p.suspects.has(k.queue) {
		return p.alone(ctx, k.queue, k.message, may)
	}
	err := p.publish(ctx, k.queue, k.message, patience, may)
	if errors.Is(err, wire.ErrLine) {
		p.suspects.add(k.queue)
	}
	return err
}
