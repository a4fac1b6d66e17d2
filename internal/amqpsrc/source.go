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
	untold    sync.Once // logs once that the broker does not say whether the queue is empty
	limits    atomic.Bool
	sessions  atomic.Int64 // how many were opened

	// Only Run uses these.
	worked bool     // a session has consumed: from then on Run retries after every error
	last   *session // the session that failed last

	control *Source // consumes the control queue; nil: there is none
	hosts   *hosts  // nil: the queue has one host

	// Of the Sources of the host's queues.
	moves   moves
	restore func(context.Context, *wire.Link) error // declares the queue, if it was deleted; nil: openSession does
	urgent  *intake.Gate                            // open once the first messages of the control queue beside it are settled; nil: there is none
	handed  *intake.Gate                            // open once the first messages of the host queue are handed over: their jobs may have containers, and get places before new ones; nil: one host
	found   chan struct{}                           // closed once the job queue and the queues published to are known to exist
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
	if cfg.HostName != "" {
		s.hosts = newHosts(cfg)
		s.cfg.entered = s.hosts.claims.Entered()
	}
	s.dialer = newDialer(cfg)
	if cfg.MaxMessage > 0 {
		s.dialer.Budget = wire.NewBudget(cfg.MaxMessage, cmp.Or(cfg.oversized, wire.OversizedBytes))
	}
	s.publisher = publish.New(s.dialer, publish.Config{
		Queue: cfg.Queue, DeadLetter: cfg.DeadLetter, Results: cfg.Results, Declare: cfg.Declare, Host: cfg.Host, Log: cfg.Log, Users: cfg.users,
		Gate: s.cfg.entered,
	})
	if cfg.Status != nil {
		s.desk = newDesk(&s.cfg)
		s.desk.depths.delays = s.publisher.DelayQueues
	}
	if cfg.Control != "" {
		s.urgent = new(intake.Gate)
		s.control = s.newControl()
	}
	if s.hosts != nil {
		urgent := new(intake.Gate)
		s.hosts.queue, s.hosts.control = s.newHostQueue(false, urgent), s.newHostQueue(true, urgent)
		s.handed = new(intake.Gate)
		s.hosts.queue.handed = s.handed
	}
	return s
}

func newDialer(cfg Config) *wire.Dialer {
	return &wire.Dialer{Name: fmt.Sprintf("docker-dispatch@%s %s", cfg.Host, cfg.source()), Version: cfg.Version, Connect: cfg.Dial}
}

// Run hands the queue's messages over on jobs, in the queue's order, until ctx ends. It waits for a broker
// that is away. When ctx ends, Run hands over what the broker had sent already, closes jobs and returns nil.
// The connections stay up until Close: jobs that still run can settle.
//
// Messages of the control queue go to control, which may be nil if there is no control queue. Messages of the host's queues go to
// jobs too.
//
// Run returns an error only before the first session of a queue has consumed, and only if waiting does not
// help. Such errors are wire.ErrLogin and the others in wire/errors.go, and an invalid Config. Run closes jobs
// and control then too. There is one exception: [wire.ErrReleased] comes at any time, and nothing can be settled or published after it.
func (s *Source) Run(ctx context.Context, jobs, control chan<- intake.Job) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1) // holds the first error
	end := func(err error) {
		if err != nil {
			select {
			case failed <- err:
			default:
			}
		}
		cancel()
	}
	var intakes, others sync.WaitGroup
	switch {
	case s.control != nil:
		others.Go(func() {
			defer close(control)
			// A mistyped job queue must not create a control queue. No command may be carried out whose result cannot be stored.
			if s.isFound(ctx) {
				end(s.control.run(ctx, control))
			}
		})
	case control != nil:
		close(control)
	}
	if s.hosts != nil {
		s.hosts.running.Go(func() {
			if s.isFound(ctx) {
				end(s.claim())
			}
		})
		for _, queue := range s.hosts.queues() {
			intakes.Go(func() {
				if s.cfg.entered.Wait(ctx) == nil { // before, the queue need not exist
					end(queue.run(ctx, jobs))
				}
			})
		}
	}
	intakes.Go(func() { end(s.run(ctx, jobs)) })
	intakes.Wait()
	close(jobs)
	others.Wait()
	return wire.NonBlocking(failed)
}

// isFound waits until the queues are found, and reports whether they are. It returns false when ctx ends.
func (s *Source) isFound(ctx context.Context) bool {
	select {
	case <-s.found:
		return true
	case <-ctx.Done():
		return false
	}
}

// run consumes one queue.
func (s *Source) run(ctx context.Context, jobs chan<- intake.Job) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	if s.cfg.DeadLetter == "" && s.cfg.primary() {
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
		case s.restore != nil && errors.Is(err, wire.ErrNoQueue): // deleted since it was restored
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
	if err := cmp.Or(err, s.cfg.check()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ran || s.life.Err() != nil {
		return errors.New("amqpsrc: Run after Run or Close")
	}
	s.ran = true
	s.dialer.Address = a
	if s.hosts != nil {
		s.hosts.dialer.Address = a
	}
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
	if s.cfg.primary() {
		if err := s.publisher.Start(ctx); err != nil {
			sess.end(s.dialer, true)
			return err
		}
		s.finding.Do(func() {
			close(s.found)
			s.openDesk()
		})
	}
	if open, _, _, _ := s.cfg.open(); !open {
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
	var seconds sync.WaitGroup
	for _, second := range s.seconds() {
		seconds.Go(func() {
			if err := second.Close(ctx); err != nil {
				s.cfg.Log.Debug("a queue's connection was cut", "queue", second.cfg.source(), "error", err)
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
	seconds.Wait()
	if s.cfg.primary() {
		s.leave(ctx)
		s.publisher.Close() // last: a job that settles until then may need it
	}
	if !cut() {
		return ctx.Err()
	}
	return nil
}
