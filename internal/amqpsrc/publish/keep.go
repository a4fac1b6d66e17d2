package publish

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
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// hopeless is the longest wait before the next attempt to store a message that is larger than the broker
// takes. The message is tried again because an operator may raise the limit. Giving up would lose the
// message.
const hopeless = 5 * time.Minute

// A keeping is what must be stored in a queue before a message is acked: a copy of it, or its result.
type keeping struct {
	what     string                 // for the log
	queue    string                 // in which it is stored; "": the exchange decides
	exchange string                 // "": the one that leads to the queue
	key      string                 // the routing key, if the exchange decides
	declare  func(*wire.Link) error // creates or checks the queue; nil: others do
	fresh    bool                   // declare runs before every attempt: the queue may not exist yet
	message  func(frameMax int) amqp.Publishing
	lost     func() bool          // the broker has requeued the message: another host may carry it out
	reply    bool                 // it is for a reply_to: see refusals
	vain     func(err error) bool // called if it is not confirmed: reports whether to give up; nil: never
}

// A vainError is the reason why keep gave up.
type vainError struct{ error }

// keep returns nil once the broker has confirmed that it stored the message. Until then it tries again at
// growing intervals, and the original stays unacked. It gives up when ctx ends, with the error of ctx; if the
// delivery is lost and nothing was sent, with ErrDeliveryLost; and if k.vain reports true, with a vainError.
func (p *Publisher) keep(ctx context.Context, messageID string, k keeping) error {
	log := p.log.With("job", messageID, "to", cmp.Or(k.queue, k.exchange))
	report := wire.Reporter{Log: log, Lost: k.what + " not stored yet, trying again; the message stays unacked", Back: k.what + " stored after all"}
	var wait wire.Backoff
	declare, sent := k.fresh, false
	for {
		var err error
		if declare {
			err = p.call(ctx, k.declare)
		}
		if err == nil && k.fresh && delay.Sleep(ctx, p.young(k.queue)) != nil {
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
		case err == intake.ErrDeliveryLost, ctx.Err() != nil:
			return cmp.Or(ctx.Err(), err)
		}
		after := wait.Next()
		level := slog.LevelWarn
		if k.vain != nil && k.vain(err) {
			return &vainError{err}
		}
		switch {
		case errors.Is(err, wire.ErrUnroutable) && k.declare != nil:
			// The queue was deleted: create it for the next attempt.
			if failed := p.call(ctx, k.declare); failed != nil {
				err = fmt.Errorf("%w, and cannot be made again: %w", err, failed)
			}
		case errors.Is(err, wire.ErrLine):
			// It is unknown whether it was stored. The publisher logs the lost connection.
			log.Debug(k.what+" not confirmed", "error", err)
			if delay.Sleep(ctx, after) != nil {
				return ctx.Err()
			}
			continue
		case wire.TooLarge(err):
			after = hopeless/2 + rand.N(hopeless/2)
			level = slog.LevelError
		}
		report.FailAt(level, err)
		if delay.Sleep(ctx, after) != nil {
			return ctx.Err()
		}
	}
}

// attempt publishes once.
func (p *Publisher) attempt(ctx context.Context, k keeping, may func() bool) error {
	if p.config.Gate != nil {
		if err := p.config.Gate.Wait(ctx); err != nil {
			return err
		}
	}
	patience := confirmTimeout
	if k.reply {
		// If reply_tos do not confirm, outlets must be left for dead letters and results.
		select {
		case p.replies <- struct{}{}:
			defer func() { <-p.replies }()
		case <-ctx.Done():
			return ctx.Err()
		}
		patience = p.refusals.patience(k.queue)
	}
	if p.refusals.suspected(k.queue) {
		return p.alone(ctx, k.queue, k.message, may)
	}
	err := p.publish(ctx, k.exchange, cmp.Or(k.queue, k.key), k.message, patience, may)
	if errors.Is(err, wire.ErrLine) {
		p.Suspect(k.queue)
	}
	return err
}
