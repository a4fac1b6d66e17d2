package amqpsrc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd"
)

// A Source takes messages from one queue and hands them over as jobs. It is good for one Run, and
// wants one Close behind it.
type Source struct {
	cfg       Config
	dialer    *wire.Dialer
	publisher *publisher
	report    wire.Reporter
	declared  sync.Once // the note that the queue has other arguments
	limited   sync.Once // the note that it has a delivery limit
	limits    atomic.Bool
	closing   sync.Once

	// Only Run uses these.
	worked bool     // a session has consumed: from now on everything is waited out
	last   *session // the one that has ended, until there is another

	control *Source       // of the control queue; nil: there is none
	found   chan struct{} // closed once the job queue is known to exist, and those that are published to
	finding sync.Once

	awaited awaited

	looks chan look     // see Quiet
	quit  chan struct{} // closed by Close: the session that lingers is to end

	mu        sync.Mutex
	ran       bool               // guarded by mu
	closed    bool               // guarded by mu
	stopRun   context.CancelFunc // guarded by mu
	running   sync.WaitGroup     // Run and the session that lingers behind it
	publishes sync.WaitGroup     // the publisher
	stopLine  context.CancelFunc // guarded by mu
}

// Limited tells whether the queue is known to have a delivery limit: a message that goes back may be dropped then.
func (s *Source) Limited() bool { return s.limits.Load() }

// New returns a Source. Nothing is dialled before Run.
func New(cfg Config) *Source {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Gate == nil {
		cfg.Gate = new(cmd.Gate)
		cfg.Gate.Set(true)
	}
	s := &Source{
		cfg:    cfg,
		report: wire.Reporter{Log: cfg.Log, Lost: "broker unreachable, waiting", Back: "broker is back"},
		looks:  make(chan look),
		quit:   make(chan struct{}),
		found:  make(chan struct{}),
	}
	s.dialer = newDialer(cfg)
	if cfg.MaxMessage > 0 {
		s.dialer.Budget = wire.NewBudget(cfg.MaxMessage, cmp.Or(cfg.oversized, wire.OversizedBytes))
	}
	s.publisher = newPublisher(s.dialer, publishConfig{
		Queue: cfg.Queue, DeadLetter: cfg.DeadLetter, Results: cfg.Results, Declare: cfg.Declare, Host: cfg.Host, Log: cfg.Log,
	})
	if cfg.Control != "" {
		s.control = s.newControl()
	}
	return s
}

func newDialer(cfg Config) *wire.Dialer {
	return &wire.Dialer{Name: fmt.Sprintf("docker-dispatch@%s %s", cfg.Host, cfg.source()), Version: cfg.Version, Connect: cfg.Dial}
}

// newControl returns the Source of the control queue, which has a consuming connection of its own, and shares the
// publisher and the budget.
func (s *Source) newControl() *Source {
	cfg := s.cfg
	cfg.controls, cfg.Prefetch, cfg.Declare = true, ControlPrefetch, cmp.Or(cfg.Declare, amqp.QueueTypeClassic)
	dialer := newDialer(cfg)
	dialer.Budget = s.dialer.Budget
	return &Source{
		cfg:       cfg,
		dialer:    dialer,
		publisher: s.publisher,
		report:    wire.Reporter{Log: cfg.Log.With("queue", cfg.Control), Lost: s.report.Lost, Back: s.report.Back, Second: true},
		looks:     make(chan look),
		quit:      make(chan struct{}),
	}
}

// Run hands the queue's messages over on jobs, in the queue's order, until ctx ends. A broker that is
// away is waited for. When ctx ends, Run hands over what the broker had sent already, closes jobs and
// returns nil; the connections stay up, so that jobs that still run can settle, until Close.
//
// Those of the control queue go to control, which may be nil where there is none.
//
// Run returns an error only before its first session has consumed anything, and only where waiting is
// no help: ErrLogin and the others in errors.go, or a Config that makes no sense. It closes jobs and control then
// too.
func (s *Source) Run(ctx context.Context, jobs, control chan<- cmd.Job) error {
	if s.control == nil {
		if control != nil {
			close(control)
		}
		return s.run(ctx, jobs)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	controlled := make(chan error, 1)
	go func() {
		// Not before: a job queue that was mistyped must leave no control queue behind, and nothing is carried out
		// whose result cannot be kept.
		select {
		case <-s.found:
		case <-ctx.Done():
			close(control)
			controlled <- nil
			return
		}
		err := s.control.run(ctx, control)
		if err != nil {
			cancel()
		}
		controlled <- err
	}()
	err := s.run(ctx, jobs)
	cancel()
	return cmp.Or(err, <-controlled)
}

// run consumes one queue.
func (s *Source) run(ctx context.Context, jobs chan<- cmd.Job) error {
	defer close(jobs)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.begin(cancel); err != nil {
		return err
	}
	defer s.running.Done()
	if s.cfg.DeadLetter == "" && !s.cfg.controls {
		s.cfg.Log.Warn("no dead-letter queue: what cannot be done is rejected, and lost unless the queue has a dead-letter exchange", "queue", s.cfg.Queue)
	}
	refusals := 0 // logins in a row that were refused without a word
	for wait := wire.Reconnecting(); ; {
		began := time.Now()
		err := s.session(ctx, jobs)
		if _, ok := errors.AsType[*wire.SilentRefusal](err); ok {
			refusals++
		} else {
			refusals = 0
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case !s.worked && wire.Fatal(err) && refusals != 1:
			return err
		}
		if time.Since(began) > longEnough {
			wait.Reset()
		}
		s.report.Fail(err)
		if !wire.Sleep(ctx, wait.Next()) {
			return nil
		}
	}
}

// begin checks the Config and enters Run.
func (s *Source) begin(cancel context.CancelFunc) error {
	a, err := wire.ParseURL(s.cfg.URL)
	switch {
	case err != nil:
		return err
	case s.cfg.Queue == "" || len(s.cfg.Queue) > 255:
		return errors.New("the name of the queue must have 1 to 255 bytes")
	case len(s.cfg.DeadLetter) > 255:
		return errors.New("the name of the dead-letter queue has more than 255 bytes")
	case s.cfg.DeadLetter == s.cfg.Queue:
		return errors.New("the dead-letter queue must not be the queue itself")
	case len(s.cfg.Control) > 255:
		return errors.New("the name of the control queue has more than 255 bytes")
	case s.cfg.Control != "" && (s.cfg.Control == s.cfg.Queue || s.cfg.Control == s.cfg.DeadLetter || s.cfg.Control == s.cfg.Results):
		return errors.New("the control queue must be none of the others")
	case len(s.cfg.Results) > 255:
		return errors.New("the name of the results queue has more than 255 bytes")
	case s.cfg.Results != "" && (s.cfg.Results == s.cfg.Queue || s.cfg.Results == s.cfg.DeadLetter):
		return errors.New("the results queue must be none of the others")
	case s.cfg.Declare != "" && s.cfg.Declare != amqp.QueueTypeClassic && s.cfg.Declare != amqp.QueueTypeQuorum:
		return fmt.Errorf("a queue can be declared as classic or quorum, not as %q", s.cfg.Declare)
	case s.cfg.Prefetch < 1 || s.cfg.Prefetch > 65535:
		return fmt.Errorf("the prefetch is %d; it must be in 1 to 65535", s.cfg.Prefetch)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ran || s.closed {
		return errors.New("amqpsrc: Run after Run or Close")
	}
	s.ran = true
	s.dialer.Address = a
	s.stopRun = cancel
	s.running.Add(1)
	return nil
}

// session runs one session from its dial to its end. Where ctx ends it leaves the session to a
// goroutine that waits for Close.
func (s *Source) session(ctx context.Context, jobs chan<- cmd.Job) error {
	sess, err := s.openSession(ctx)
	if err != nil {
		if s.last != nil && errors.Is(err, syscall.ECONNREFUSED) {
			s.last.released.Store(true) // what held its connection has gone
		}
		if errors.Is(err, wire.ErrNoQueue) {
			s.awaited.noQueue()
		} else {
			s.awaited.ended()
		}
		return err
	}
	s.awaited.ended() // until it consumes
	if !s.cfg.controls {
		if err := s.startPublisher(ctx); err != nil {
			sess.end(s.dialer, true)
			return err
		}
		s.finding.Do(func() { close(s.found) })
	}
	sess.consuming = func() {
		if !s.worked {
			s.cfg.Log.Info("taking messages", "broker", wire.Redact(s.cfg.URL), "queue", s.cfg.source(), "prefetch", s.cfg.Prefetch)
		}
		s.worked = true
		s.report.Well()
	}
	if open, _ := s.cfg.Gate.State(); !open {
		s.report.Well() // else when it consumes: that too may be refused
	}
	err = sess.serve(ctx, jobs)
	if err != nil {
		sess.end(s.dialer, !sess.link.IsClosed())
		s.last = sess
		return err
	}
	s.running.Go(func() {
		err := sess.linger(s.quit)
		if err != nil {
			s.cfg.Log.Warn("broker connection lost while stopping; what is not settled yet comes again", "error", err)
		}
		sess.end(s.dialer, err == nil)
	})
	return nil
}

// startPublisher connects the publisher before the first message is taken, and leaves it to itself.
func (s *Source) startPublisher(ctx context.Context) error {
	s.mu.Lock()
	started := s.stopLine != nil
	s.mu.Unlock()
	if started {
		return nil
	}
	l, err := s.publisher.start(ctx)
	if err != nil {
		return err
	}
	// Not ctx: dead letters are published after the intake has ended, until Close.
	lineCtx, stop := context.WithCancel(context.Background())
	s.mu.Lock()
	s.stopLine = stop
	s.mu.Unlock()
	s.publishes.Go(func() { s.publisher.run(lineCtx, l) })
	return nil
}

// Close ends the connections, after the broker has all acks. Deliveries that are not settled go back to
// the queue by themselves. It ends a Run that is still at work, and may follow one that failed. When
// ctx ends first the connections are cut, and its error is returned. Nothing of the package runs when
// Close has returned.
func (s *Source) Close(ctx context.Context) error {
	var controlling sync.WaitGroup
	if s.control != nil {
		controlling.Go(func() {
			if err := s.control.Close(ctx); err != nil {
				s.cfg.Log.Debug("the control queue's connection was cut", "error", err)
			}
		})
	}
	s.mu.Lock()
	s.closed = true
	if s.stopRun != nil {
		s.stopRun()
	}
	s.mu.Unlock()
	s.closing.Do(func() { close(s.quit) })
	cut := context.AfterFunc(ctx, s.dialer.AbortAll)
	s.running.Wait()
	controlling.Wait()
	// The publisher goes last: a job that settles until then may need it.
	s.mu.Lock()
	if s.stopLine != nil {
		s.stopLine()
	}
	s.mu.Unlock()
	s.publishes.Wait()
	if !s.cfg.controls {
		s.publisher.streams.Wait()
	}
	if !cut() {
		return ctx.Err()
	}
	return nil
}
