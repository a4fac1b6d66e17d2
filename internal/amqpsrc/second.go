package amqpsrc

import (
	"cmp"
	"context"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
)

// seconds returns the Sources of the other queues.
func (s *Source) seconds() (all []*Source) {
	if s.control != nil {
		all = append(all, s.control)
	}
	if s.hosts != nil {
		all = append(all, s.hosts.queues()...)
	}
	return all
}

// newControl returns the Source of the control queue.
func (s *Source) newControl() *Source {
	cfg := s.cfg
	cfg.controls, cfg.Prefetch, cfg.Declare = true, ControlPrefetch, cmp.Or(cfg.Declare, amqp.QueueTypeClassic)
	control := s.second(cfg)
	control.urgent = s.urgent
	return control
}

// second returns the Source of a second queue. It has its own consuming connection, and shares the publisher and the budget.
func (s *Source) second(cfg Config) *Source {
	dialer := newDialer(cfg)
	dialer.Budget = s.dialer.Budget
	life, end := context.WithCancel(context.Background())
	return &Source{
		cfg:       cfg,
		dialer:    dialer,
		publisher: s.publisher,
		report:    wire.Reporter{Log: cfg.Log.With("queue", cfg.source()), Lost: s.report.Lost, Back: s.report.Back, Second: true},
		looks:     make(chan look),
		life:      life,
		end:       end,
	}
}
