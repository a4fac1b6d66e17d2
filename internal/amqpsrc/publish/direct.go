package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// errMalformed is the error of a message to an invalid direct reply-to. The broker ends the connection over it,
// and every other message on the connection is lost.
var errMalformed = errors.New("the broker closes the connection because of it: it is not a valid direct reply-to")

// errApart is an error that proves nothing about a suspect. The broker takes no further connection, the network
// ended the connection, or the confirm is late.
var errApart = errors.New("could not be sent over a separate connection")

// Suspect records that a connection ended while a message to the queue was under way. That counts only for direct reply-tos.
func (p *Publisher) Suspect(queue string) {
	if wire.IsDirect(queue) {
		p.refusals.note(queue, func(q *refusal, _ time.Time) { q.suspect = true })
	}
}

// alone sends a message to a suspect over a separate connection, if may returns true. A suspect is a direct reply-to to
// which a message was under way when a connection ended. Each message to one has its own connection, until one message is
// stored. So no reply-to is blamed for another or for the network. The error is errMalformed if the broker ended the separate
// connection over the message, and errApart if that is unknown.
func (p *Publisher) alone(ctx context.Context, queue string, message func(frameMax int) amqp.Publishing, may func() bool) error {
	if _, err := p.current(ctx); err != nil { // waits while the broker is away
		return err
	}
	var o *wire.Outlet
	link, err := p.dialer.Open(ctx, "reply", func(k *wire.Link) (err error) {
		o, err = k.Outlet(1)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %v", errApart, err)
	}
	if !may() {
		p.dialer.Part(link, true)
		return intake.ErrDeliveryLost
	}
	err = o.Send(ctx, "", queue, message(link.Config.FrameSize), shortly)
	ended := wire.NonBlocking(link.Closed) // before Part receives it
	p.dialer.Part(link, err == nil)
	switch {
	case errors.Is(err, wire.ErrLine) && ended != nil && ended.Server && ended.Code == amqp.InternalError:
		p.Suspect(queue)
		return errMalformed
	case errors.Is(err, wire.ErrLine), errors.Is(err, wire.ErrUnanswered):
		p.Suspect(queue)
		return fmt.Errorf("%w: %v", errApart, err)
	}
	return err
}
