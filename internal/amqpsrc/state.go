package amqpsrc

import (
	"fmt"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// State returns how the Source stands with the broker, and what it has counted. It may be called at any time.
func (s *Source) State() ([]status.Condition, status.Broker) {
	b := status.Broker{
		Sessions:    s.sessions.Load(),
		Published:   s.publisher.published.Load(),
		Unconfirmed: s.publisher.unconfirmed.Load(),
		DeadLetters: s.publisher.deadLetters.Load(),
		Dropped:     s.publisher.dropped.Load(),
	}
	all := []status.Condition{condition("broker", fmt.Sprintf("messages are taken from %s at %s", s.cfg.Queue, wire.Redact(s.cfg.URL)), s.report.Fault())}
	open, _, _ := s.cfg.open()
	recording, _ := s.publisher.recording.State()
	if !(open && recording) && all[0].State == status.Met {
		all[0].Reason = "connected to " + wire.Redact(s.cfg.URL)
	}
	if s.control != nil {
		all = append(all, condition("control", "messages are taken from "+s.cfg.Control, s.control.report.Fault()))
		b.Sessions += s.control.sessions.Load()
	}
	all = append(all, condition("publishing", "the broker takes results and dead letters", s.publisher.fault()))
	if s.cfg.Results != "" {
		var fault error
		if !recording {
			fault = fmt.Errorf("results cannot be stored in %s", s.cfg.Results)
			if why := s.publisher.unrecorded.Load(); why != nil {
				fault = fmt.Errorf("%w: %v", fault, *why)
			}
		}
		all = append(all, condition("results", "results are stored in "+s.cfg.Results, fault))
	}
	if s.desk != nil {
		all = append(all, s.desk.condition())
	}
	return all, b
}

// condition returns a condition that is met unless there is a fault.
func condition(name, met string, fault error) status.Condition {
	if fault != nil {
		return status.Condition{Name: name, State: status.Unmet, Reason: fault.Error()}
	}
	return status.Condition{Name: name, State: status.Met, Reason: met}
}

// fault returns why nothing can be published now; nil: it can.
func (p *publisher) fault() error {
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
		return fmt.Errorf("the broker takes no messages: it is short of memory or disk")
	}
	return nil
}
