package amqpsrc

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

// suspects is the set of direct reply-tos to which a message was under way when a connection ended. Each message to
// one has its own connection, until one message is stored. So no reply-to is blamed for another or for the network.
// A forgotten one can end the connection of others again.
type suspects struct {
	mu    sync.Mutex
	since map[string]time.Time // guarded by mu
}

// add makes a queue a suspect if it is a direct reply-to.
func (s *suspects) add(queue string) {
	if !wire.IsDirect(queue) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for q, at := range s.since {
		if now.Sub(at) > stale {
			delete(s.since, q)
		}
	}
	if s.since == nil {
		s.since = make(map[string]time.Time)
	}
	makeRoom(s.since) // a forgotten queue is added again if it ends a connection
	s.since[queue] = now
}

func (s *suspects) remove(queue string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.since, queue)
}

func (s *suspects) has(queue string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.since[queue]
	return ok
}

// alone sends a message to a suspect over a separate connection, if may returns true. Its error is errMalformed if
// the broker ended that connection over it, and errApart if that is unknown.
func (p *publisher) alone(ctx context.Context, queue string, message func(frameMax int) amqp.Publishing, may func() bool) error {
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
	err = o.Send(ctx, queue, message(link.Config.FrameSize), shortly)
	ended := wire.NonBlocking(link.Closed) // before Part receives it
	p.dialer.Part(link, err == nil)
	switch {
	case err == nil:
		p.suspects.remove(queue)
	case errors.Is(err, wire.ErrLine) && ended != nil && ended.Server && ended.Code == amqp.InternalError:
		p.suspects.add(queue)
		return errMalformed
	case errors.Is(err, wire.ErrLine), errors.Is(err, wire.ErrUnanswered):
		p.suspects.add(queue)
		return fmt.Errorf("%w: %v", errApart, err)
	}
	return err
}
