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

	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/publish"
	"github.com/mutaphore/docker-dispatch/internal/amqpsrc/wire"
	"github.com/mutaphore/docker-dispatch/internal/cmd/delay"
	"github.com/mutaphore/docker-dispatch/internal/cmd/intake"
)

// A Source is a queue whose messages are handed over as jobs. It serves one Run, and must be closed
// afterwards.
type Source struct {
	cfg       Config
	dialer    *wire.Dialer
	publisher *publish.Publisher
	report    wire.Reporter
	declared  sync.Once // logs once that the queue has other arguments
	limited   sync.Once // logs once that the queue has a delivery limit
	limits    atomic.Bool
	sessions  atomic.Int64 // how many were opened

	// Only Run uses these.
	worked bool     // a session has consumed: from then on Run retries after every error
	last   *session // the session that failed last

	control *Source       // consumes the control queue; nil: there is none
	urgent  *intake.Gate  // open once the control queue's first messages are settled; nil: there is none
	found   chan struct{} // closed once the job queue and the queues published to are known to exist
	finding sync.Once

	awaited awaited
	desk    *desk // answers questions about the status; nil: none are answered

	looks chan look // see Quiet

	life    context.Context // until Close: ends Run and the lingering session
	end     context.CancelFunc
	mu      sync.Mutex     // held by begin and by Close when life ends
	ran     bool           // guarded by mu
	running sync.WaitGroup // Run, the session that lingers after it, and the desk
}

// Limited reports whether the queue is known to have a delivery limit: the broker may then drop a requeued message.
func (s *Source) Limited() bool { return s.limits.Load() }

// New returns a Source. Nothing is dialled before Run.
func New(cfg Config) *Source {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	for _, gate := range []**intake.Gate{&cfg.Gate, &cfg.Room} {
		if *gate == nil {
			*gate = new(intake.Gate)
			(*gate).Set(true)
		}
	}
	cfg.users = publish.NewUsers(cfg.URL, cfg.Queue)
	s := &Source{
		cfg:    cfg,
		report: wire.Reporter{Log: cfg.Log, Lost: "broker unreachable, waiting", Back: "broker is back"},
		looks:  make(chan look),
		found:  make(chan struct{}),
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.dialer = newDialer(cfg)
	if cfg.MaxMessage > 0 {
		s.dialer.Budget = wire.NewBudget(cfg.MaxMessage, cmp.Or(cfg.oversized, wire.OversizedBytes))
	}
	s.publisher = publish.New(s.dialer, publish.Config{
		Queue: cfg.Queue, DeadLetter: cfg.DeadLetter, Results: cfg.Results, Declare: cfg.Declare, Host: cfg.Host, Log: cfg.Log, Users: cfg.users,
	})
	if cfg.Status != nil {
		s.desk = newDesk(&s.cfg)
		s.desk.depths.delays = s.publisher.DelayQueues
	}
	if cfg.Control != "" {
		s.urgent = new(intake.Gate)
		s.control = s.newControl()
	}
	return s
}

func newDialer(cfg Config) *wire.Dialer {
	return &wire.Dialer{Name: fmt.Sprintf("docker-dispatch@%s %s", cfg.Host, cfg.source()), Version: cfg.Version, Connect: cfg.Dial}
}

// newControl returns the Source of the control queue. It has its own consuming connection, and shares the
// publisher and the budget.
func (s *Source) newControl() *Source {
	cfg := s.cfg
	cfg.controls, cfg.Prefetch, cfg.Declare = true, ControlPrefetch, cmp.Or(cfg.Declare, amqp.QueueTypeClassic)
	dialer := newDialer(cfg)
	dialer.Budget = s.dialer.Budget
	life, end := context.WithCancel(context.Background())
	return &Source{
		cfg:       cfg,
		dialer:    dialer,
		publisher: s.publisher,
		urgent:    s.urgent,
		report:    wire.Reporter{Log: cfg.Log.With("queue", cfg.Control), Lost: s.report.Lost, Back: s.report.Back, Second: true},
		looks:     make(chan look),
		life:      life,
		end:       end,
	}
}

// Run hands the queue's messages over on jobs, in the queue's order, until ctx ends. It waits for a broker
// that is away. When ctx ends, Run hands over what the broker had sent already, closes jobs and returns nil.
// The connections stay up until Close: jobs that still run can settle.
//
// Messages of the control queue go to control, which may be nil if there is no control queue.
//
// Run returns an error only before the first session of a queue has consumed, and only if waiting does not
// help. Such errors are wire.ErrLogin and the others in wire/errors.go, and an invalid Config. Run closes jobs
// and control then too.
func (s *Source) Run(ctx context.Context, jobs, control chan<- intake.Job) error {
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
		// Wait for the other queues: a mistyped job queue must not create a control queue. No command may be carried
		// out whose result cannot be stored.
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
func (s *Source) run(ctx context.Context, jobs chan<- intake.Job) error {
	defer close(jobs)
	if err := s.begin(); err != nil {
		return err
	}
	defer s.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	if s.cfg.DeadLetter == "" && !s.cfg.controls {
		s.cfg.Log.Warn("no dead-letter queue: failed messages are rejected, and lost unless the queue has a dead-letter exchange; --dead-letter names one", "queue", s.cfg.Queue)
	}
	refusals := 0 // consecutive logins that the broker refused silently
	for wait := new(wire.Backoff); ; {
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
		if time.Since(began) > wire.LongEnough {
			wait.Reset()
		}
		s.report.Fail(err)
		if delay.Sleep(ctx, wait.Next()) != nil {
			return nil
		}
	}
}

// begin checks the Config and records that Run has begun.
func (s *Source) begin() error {
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
	if s.ran || s.life.Err() != nil {
		return errors.New("amqpsrc: Run after Run or Close")
	}
	s.ran = true
	s.dialer.Address = a
	s.running.Add(1)
	return nil
}

// session runs one session from its dial to its end. When ctx ends, it leaves the session to a
// goroutine that waits for Close.
func (s *Source) session(ctx context.Context, jobs chan<- intake.Job) error {
	sess, err := s.openSession(ctx)
	if err != nil {
		if s.last != nil && errors.Is(err, syscall.ECONNREFUSED) {
			s.last.released.Store(true) // the broker has exited, and its connections with it
		}
		if errors.Is(err, wire.ErrNoQueue) {
			s.awaited.set(time.Now(), true)
		} else {
			s.awaited.set(time.Time{}, false)
		}
		return err
	}
	s.sessions.Add(1)
	s.awaited.set(time.Time{}, false) // nothing is consumed yet
	if !s.cfg.controls {
		if err := s.publisher.Start(ctx); err != nil {
			sess.end(s.dialer, true)
			return err
		}
		s.finding.Do(func() {
			close(s.found)
			s.openDesk()
		})
	}
	if open, _, _ := s.cfg.open(); !open {
		s.report.Well() // if the gate is open, consuming does this: the broker may refuse the consumer
	}
	err = sess.serve(ctx, jobs)
	if err != nil {
		sess.end(s.dialer, !sess.link.IsClosed())
		s.last = sess
		return err
	}
	s.running.Go(func() {
		err := sess.linger(s.life)
		if err != nil {
			s.cfg.Log.Warn("broker connection lost while stopping: messages that are not acked yet will be redelivered", "error", err)
		}
		sess.end(s.dialer, err == nil)
	})
	return nil
}

// Close ends the connections, after the broker has all acks. The broker requeues deliveries that are not
// settled. Close ends a Run that is still at work, and may be called after a Run that failed. If ctx ends
// first, Close cuts the connections and returns the error of ctx. When Close has returned, no goroutine of
// the package runs.
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
	s.end()
	s.mu.Unlock()
	if s.desk != nil {
		defer context.AfterFunc(ctx, s.desk.dialer.AbortAll)()
	}
	cut := context.AfterFunc(ctx, s.dialer.AbortAll)
	s.running.Wait()
	controlling.Wait()
	if !s.cfg.controls {
		s.publisher.Close() // last: a job that settles until then may need it
	}
	if !cut() {
		return ctx.Err()
	}
	return nil
}
