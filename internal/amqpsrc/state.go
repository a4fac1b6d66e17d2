package amqpsrc

import (
	"fmt"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/status"
)

// State returns how the Source stands with the broker, and what it has counted. It may be called at any time.
func (s *Source) State() ([]status.Condition, status.Broker) {
	b := s.publisher.Counts()
	b.Sessions = s.sessions.Load()
	all := []status.Condition{condition("broker", fmt.Sprintf("messages are taken from %s at %s", s.cfg.Queue, wire.Redact(s.cfg.URL)), s.report.Fault())}
	open, _, _, _ := s.cfg.open()
	recording, _ := s.publisher.Recording.State()
	if !(open && recording) && all[0].State == status.Met {
		all[0].Reason = "connected to " + wire.Redact(s.cfg.URL)
	}
	if s.control != nil {
		all = append(all, condition("control", "messages are taken from "+s.cfg.Control, s.control.report.Fault()))
		b.Sessions += s.control.sessions.Load()
	}
	if h := s.hosts; h != nil {
		all = append(all, condition("claims", "the broker knows this host as "+h.claims.Host(), h.claims.Fault()))
		for i, queue := range h.queues() {
			all = append(all, condition([]string{"host", "host-control"}[i], "messages are taken from "+queue.cfg.source(), queue.report.Fault()))
			b.Sessions += queue.sessions.Load()
		}
	}
	all = append(all, condition("publishing", "the broker takes results and dead letters", s.publisher.Fault()))
	if s.cfg.Results != "" {
		all = append(all, condition("results", "results are stored in "+s.cfg.Results, s.publisher.ResultsFault()))
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
