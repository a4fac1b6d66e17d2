package publish

import (
	"context"
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A Way is how the copy of a message, and the note that follows it, come to the host that has a claim.
type Way struct {
	Claim intake.Claim
	Key   string // the routing key, which chooses one of the host's queues
	Queue string // that queue, for the note: the job may have ended by then, and its claim with it; "": not known
	Token string // that copy and note have in common
}

// Forward stores a copy of a message in a queue of the host that has a claim. j is the job of the message, and id its id as shown.
// The note follows the copy: see Moved. See intake.Job.Forward.
func (p *Publisher) Forward(ctx context.Context, d amqp.Delivery, j *intake.Job, w Way, id string, lost func() bool) error {
	ours := amqp.Table{
		wire.HeaderHops:        int32(1),
		wire.HeaderRedelivered: j.Redelivered,
		wire.HeaderControl:     j.Control,
		wire.HeaderToken:       w.Token,
		wire.HeaderSeal:        p.config.Users.seal(d.UserId, d),
		wire.HeaderCopy:        wire.Clip(j.Copy, wire.MaxText),
	}
	if j.Forwarded != nil {
		ours[wire.HeaderHops] = int32(j.Forwarded.Hops + 1)
	}
	if j.Attempt > 1 {
		ours[wire.HeaderAttempt] = int32(j.Attempt)
	}
	if d.MessageId == "" {
		ours[wire.HeaderJob] = wire.Clip(id, wire.MaxText)
	}
	return p.toHost(ctx, d.MessageId, keeping{
		what: "message for another host", exchange: w.Claim.Address, key: w.Key, lost: lost,
		message: func(frameMax int) amqp.Publishing { return copyWith(d, ours, frameMax) },
	})
}

// Moved publishes the note that the original of a copy is acked. If there is no way to a host any more, no host needs the note.
func (p *Publisher) Moved(ctx context.Context, messageID string, w Way) error {
	k := keeping{
		what: "note for another host", queue: w.Queue, lost: func() bool { return false },
		message: func(int) amqp.Publishing {
			return amqp.Publishing{
				DeliveryMode: amqp.Persistent, AppId: wire.AppID,
				Headers: amqp.Table{wire.HeaderToken: w.Token, wire.HeaderMoved: true},
			}
		},
	}
	if w.Queue == "" {
		k.exchange, k.key = w.Claim.Address, w.Key
	}
	err := p.toHost(ctx, messageID, k)
	if errors.Is(err, intake.ErrNoHost) {
		return nil
	}
	return err
}

// toHost stores a message in a queue of the host that has the claim k.exchange. ErrNoHost: the claim does not exist, or leads
// to no queue.
func (p *Publisher) toHost(ctx context.Context, messageID string, k keeping) error {
	k.vain = func(err error) bool { return errors.Is(err, wire.ErrUnroutable) || wire.IsNoExchange(err) }
	err := p.keep(ctx, messageID, k)
	if _, ok := errors.AsType[*vainError](err); ok {
		return intake.ErrNoHost
	}
	return err
}

// A Forwarded is what the headers of a message in a host's queue say.
type Forwarded struct {
	Hops                 int    // from 1 to intake.MostHops
	Redelivered, Control bool   // the original was redelivered, came by the control queue
	Token                string // "": it is no copy of ours
	Moved                bool   // it is the note of the copy with that token, and no message itself
}

// ForwardedOf reads the headers of a message in a host's queue. Whoever can publish to the queue can forge them, and gains
// nothing.
func ForwardedOf(d amqp.Delivery) Forwarded {
	f := Forwarded{Hops: 1, Token: wire.Text(d.Headers[wire.HeaderToken])}
	if n, ok := wire.Number(d.Headers[wire.HeaderHops], 1, intake.MostHops); ok {
		f.Hops = int(n)
	}
	f.Redelivered, _ = d.Headers[wire.HeaderRedelivered].(bool)
	f.Control, _ = d.Headers[wire.HeaderControl].(bool)
	f.Moved, _ = d.Headers[wire.HeaderMoved].(bool)
	return f
}
