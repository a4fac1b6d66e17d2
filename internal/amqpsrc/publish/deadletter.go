package publish

import (
	"context"
	"crypto/rand"
	"maps"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/event"
)

// deadLetter returns the copy of a message for the dead-letter queue.
func deadLetter(d amqp.Delivery, queue, host, copy, seal string, r event.Result, now time.Time, frameMax int) amqp.Publishing {
	ours := amqp.Table{
		wire.HeaderReason: wire.Clip(r.Reason, wire.MaxReason),
		wire.HeaderError:  wire.Clip(r.Error, wire.MaxError),
		wire.HeaderHost:   wire.Clip(host, 255),
		wire.HeaderTime:   now.UTC().Format(time.RFC3339),
		wire.HeaderQueue:  wire.Clip(queue, 255),
		wire.HeaderCopy:   copy,
		wire.HeaderSeal:   seal,
	}
	return copyWith(d, ours, frameMax)
}

// copyWith returns a copy of a message with our headers added, unless they are empty. The body is unchanged; an allow-list names the
// properties copied. The copy omits what the broker refuses from us (user_id) and what it wrote itself. It
// also omits what the broker acts on: expiration, and CC and BCC, which would send further copies.
// The copy's properties and headers are one frame of at most frameMax bytes (0: 1 MiB). The broker ends the
// connection over a larger frame, so headers that do not fit are dropped, largest first.
func copyWith(d amqp.Delivery, ours amqp.Table, frameMax int) amqp.Publishing {
	ours = maps.Clone(ours)
	p := amqp.Publishing{
		ContentType:     d.ContentType,
		ContentEncoding: d.ContentEncoding,
		DeliveryMode:    amqp.Persistent,
		Priority:        d.Priority,
		CorrelationId:   d.CorrelationId,
		ReplyTo:         d.ReplyTo,
		MessageId:       d.MessageId,
		Timestamp:       d.Timestamp,
		Type:            d.Type,
		AppId:           d.AppId,
		Body:            d.Body,
	}
	ours[wire.HeaderUser] = wire.Clip(d.UserId, 255)
	maps.DeleteFunc(ours, func(_ string, value any) bool { return value == "" })
	if d.ReplyTo == wire.DirectReply {
		p.ReplyTo, ours[wire.HeaderReply] = "", d.ReplyTo
	}
	kept, dropped := wire.Fit(d.Headers, wire.Room(p, ours, frameMax)-wire.DroppedRoom)
	if d.Headers[wire.UnreadableHeader] != nil {
		ours[wire.HeaderDropped] = "*"
	} else if len(dropped) > 0 {
		ours[wire.HeaderDropped] = wire.DroppedNames(dropped)
	}
	maps.Copy(kept, ours)
	p.Headers = kept
	return p
}

// DeadLetter stores a copy of d in the dead-letter queue, and returns nil once the broker has confirmed the copy. The copy names the
// queue from, from which d came. lost reports whether d is lost. Errors are as for intake.Job.Store.
func (p *Publisher) DeadLetter(ctx context.Context, d amqp.Delivery, from string, r event.Result, lost func() bool) error {
	now, copy := time.Now(), rand.Text()
	err := p.keep(ctx, d.MessageId, keeping{
		what: "dead letter", queue: p.config.DeadLetter, declare: p.declare, lost: lost,
		message: func(frameMax int) amqp.Publishing {
			return deadLetter(d, from, p.config.Host, copy, p.config.Users.seal(d.UserId, d), r, now, frameMax)
		},
	})
	if err == nil {
		p.deadLetters.Add(1)
	}
	return err
}
