package publish

import (
	"errors"
	"fmt"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// Counts returns what the Publisher has counted.
func (p *Publisher) Counts() status.Broker {
	return status.Broker{
		Published:   p.published.Load(),
		Unconfirmed: p.unconfirmed.Load(),
		DeadLetters: p.deadLetters.Load(),
		Dropped:     p.dropped.Load(),
	}
}

// ResultsFault returns why results cannot be stored in the results queue; nil: they can.
func (p *Publisher) ResultsFault() error {
	if open, _ := p.Recording.State(); open {
		return nil
	}
	fault := fmt.Errorf("results cannot be stored in %s", p.config.Results)
	if why := p.unrecorded.Load(); why != nil {
		fault = fmt.Errorf("%w: %v", fault, *why)
	}
	return fault
}

// Fault returns why nothing can be published now; nil: it can.
func (p *Publisher) Fault() error {
	if err := p.report.Fault(); err != nil {
		return err
	}
	p.mu.Lock()
	l := p.line
	p.mu.Unlock()
	if l == nil {
		return wire.ErrNotConnected
	}
	if open, _ := l.link.Unblocked.State(); !open {
		return errors.New("the broker takes no messages: it is short of memory or disk")
	}
	return nil
}
